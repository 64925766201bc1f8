/** What a run has left, compared with what was sent. Each answers with what is wrong, in words. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import type { Aggregate, TokenEvents, TriggerEvent, WindowSlice } from '../../schemas/records.ts'
import {
  AGGREGATES,
  TOKEN_EVENTS,
  TOPICS,
  TRIGGER_EVENTS,
  WINDOW_SLICES,
} from '../../schemas/topics.ts'
import type { Plan } from '../../services/core/processor.ts'
import { createRestCatalog } from '../../services/lake/iceberg/catalog.ts'
import { openStore } from '../../services/lake/store.ts'
import { compactLake } from '../../services/lens/lake-compact.ts'
import { syncTables } from '../../services/lens/lake-iceberg.ts'
import { verifyLake } from '../../services/lens/lake-verify.ts'
import { createTriggers } from '../../services/triggers/processor.ts'
import { parseRules } from '../../services/triggers/rules-file.ts'
import type { Cluster } from '../broker/cluster.ts'
import { openLake } from '../broker/lake.ts'
import {
  createOracle,
  differences,
  type ExactWindow,
  latest,
  triggerFaults,
} from '../pipeline/oracle.ts'
import { type Load, recordName } from './load.ts'
import { PARTITIONS, RULES, type System } from './system.ts'

const ROOT = new URL('../../', import.meta.url).pathname

/** What the raw topic holds, read once, record by record. */
export interface Raw {
  readonly wrong: readonly string[]
  readonly exact: Map<string, ExactWindow>
  readonly records: number
  readonly chunks: number
  /** Requests that have ended. */
  readonly ended: number
}

/** Every record that was acknowledged is there, none is there twice, and none that was not sent. */
export async function readRaw(
  { stack, cluster }: System,
  { acknowledged, unknown }: Load,
): Promise<Raw> {
  const registry = new SchemaRegistry({ host: stack.env.SCHEMA_REGISTRY_URL! })
  const oracle = createOracle()
  const there = new Set<string>()
  const wrong: string[] = []
  let [records, chunks, ended] = [0, 0, 0]
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (const { value } of await cluster.bus.readAll(TOKEN_EVENTS, partition)) {
      const record = (await registry.decode(value as Buffer)) as TokenEvents
      const name = recordName(record)
      if (there.has(name)) wrong.push(`${name} is in the raw topic twice`)
      if (!acknowledged.has(name) && !unknown.has(name)) wrong.push(`${name} was never sent`)
      there.add(name)
      oracle.add(record)
      records++
      chunks += record.gaps_us.length
      if (record.end) ended++
    }
  }
  const lost = [...acknowledged].filter((name) => !there.has(name))
  if (lost.length > 0) wrong.push(`${lost.length} raw records lost, ${lost[0]} first`)
  return { wrong, exact: oracle.windows(), records, chunks, ended }
}

/** Waits until every window is right, or until it is too late. */
export async function windowFaults(
  cluster: Cluster,
  exact: Raw['exact'],
  untilMs: number,
): Promise<readonly string[]> {
  for (;;) {
    const read = cluster.readTopic<Aggregate>(AGGREGATES)
    const faults = await read.then(
      (aggregates) => differences(latest(aggregates), exact),
      (error: Error) => [error.message],
    )
    if (faults.length === 0 || Date.now() > untilMs) return faults.slice(0, 5)
    await sleep(1_000)
  }
}

/**
 * Every event that an undisturbed reading of the same results gives is there, once by id and state
 * (or repeated to the byte), and no other.
 */
export async function triggerDifferences(cluster: Cluster): Promise<readonly string[]> {
  const { codec, readTopic } = cluster
  const published = await readTopic<TriggerEvent>(TRIGGER_EVENTS)
  const bytes = (event: object) => Buffer.from(codec.encode(TRIGGER_EVENTS, event)).toString('hex')
  const name = ({ trigger_id, state }: TriggerEvent) => `${trigger_id} ${state}`
  const named = (events: readonly TriggerEvent[]) =>
    new Map(events.map((event) => [bytes(event), name(event)]))
  const want = named(await expectedTriggers(cluster))
  const got = named(published)
  const missing = [...want].filter(([event]) => !got.has(event))
  const extra = [...got].filter(([event]) => !want.has(event))
  const some = (what: string, list: readonly (readonly [string, string])[]) =>
    list.slice(0, 3).map(([, event]) => `1 of ${list.length} triggers ${what}: ${event}`)
  return [
    ...(want.size === 0 ? ['the run was vacuous: no trigger'] : []),
    ...triggerFaults(published),
    ...some('missing', missing),
    ...some('too many', extra),
  ]
}

async function expectedTriggers({ bus, codec }: Cluster): Promise<readonly TriggerEvent[]> {
  const policy = { rules: parseRules(readFileSync(RULES, 'utf8'), RULES), statesMax: 1e6 }
  const decode = codec.decoder(AGGREGATES)
  const partitions = Object.fromEntries(TOPICS.map((topic) => [topic.name, PARTITIONS]))
  const events: TriggerEvent[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const place = { topic: AGGREGATES, partition }
    const fresh = { ...place, committed: null, firstOffset: 0, changelog: [], partitions }
    const processor = createTriggers(fresh, policy, { count() {} })
    const log = await bus.readAll(AGGREGATES, partition)
    const records = log.map(({ offset, appendMs, value }) => {
      return { offset, appendMs, ...decode(value, appendMs) }
    })
    let plan: Plan | undefined = processor.onBatch({ ...place, records })
    for (; plan; plan = plan.rest?.()) {
      for (const { topic, value } of plan.outputs) {
        if (topic === TRIGGER_EVENTS) events.push(value as TriggerEvent)
      }
    }
  }
  return events
}

/** What `lens audit` finds. */
export async function auditFaults({ stack }: System): Promise<readonly string[]> {
  const child = spawn(process.execPath, ['services/lens/main.ts', 'audit'], {
    cwd: ROOT,
    env: { ...process.env, ...stack.env },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  child.stdout.on('data', (bytes) => {
    said += String(bytes)
  })
  const [code] = await once(child, 'close')
  return code === 0 ? [] : [`audit ends with ${code}: ${said}`]
}

/** One row in the lake for each request that ended, and for each trigger event. */
export async function lakeFaults(
  { lake, stack, cluster }: System,
  { ended, records }: Raw,
): Promise<readonly string[]> {
  const query = await openLake(lake, stack.env)
  const counted = async (dataset: string, id: string) => {
    const [row] = await query(
      `SELECT count(*) AS n, count(DISTINCT ${id}) AS ids
       FROM read_parquet('LAKE/${dataset}/**/*.parquet', hive_partitioning = true)`,
    )
    return { rows: Number(row!.n), ids: Number(row!.ids) }
  }
  const requests = await counted('requests', 'request_id')
  const triggers = await counted('trigger_events', "trigger_id || ' ' || state")
  const events = await cluster.readTopic<TriggerEvent>(TRIGGER_EVENTS)
  const names = new Set(events.map(({ trigger_id, state }) => `${trigger_id} ${state}`))
  const check = (what: string, got: object, want: object) => {
    const [is, should] = [JSON.stringify(got), JSON.stringify(want)]
    return is === should ? [] : [`lake, ${what}: ${is}, not ${should}`]
  }
  const rows = await counted('token_events', "kafka_partition || ' ' || kafka_offset")
  const { faults } = await verifyLake(await openStore(lake, stack.env), () => {})
  return [
    ...faults.slice(0, 5).map((fault) => `lake verify: ${fault}`),
    ...check('token events', rows, { rows: records, ids: records }),
    ...check('requests', requests, { rows: ended, ids: ended }),
    // A repeat in the topic is a row of its own, with the same id.
    ...check('triggers', triggers, { rows: events.length, ids: names.size }),
  ]
}

const HOUR_MS = 3_600_000

/** The same when all hours have been compacted, and in Iceberg tables. */
export async function compactedFaults(system: System, raw: Raw): Promise<readonly string[]> {
  const { lake, stack } = system
  const store = await openStore(lake, stack.env)
  // Nobody writes any more: the hour that goes on is over too.
  const nowMs = Date.now() + HOUR_MS
  const { outputs } = await compactLake(
    store,
    { nowMs, closedMs: nowMs, removeMs: nowMs },
    () => {},
  )
  const catalog = createRestCatalog({
    url: stack.env.ICEBERG_CATALOG_URL!,
    warehouse: stack.env.ICEBERG_WAREHOUSE!,
    credential: stack.env.ICEBERG_CREDENTIAL!,
    ...{ namespace: 'lens', token: '', oauthUrl: '', oauthScope: 'catalog', now: Date.now },
  })
  const open = (location: string) => openStore(location, stack.env)
  await syncTables({ store, catalog, open, nowMs, keepSinceMs: 0 }, () => {})
  const table = await catalog.load('token_events')
  const { summary } = table!.snapshots!.at(-1)!
  const inTable = Number(summary['total-records'])
  return [
    ...(await lakeFaults(system, raw)),
    ...(outputs > 0 ? [] : ['compaction found nothing to do']),
    ...(inTable === raw.records ? [] : [`the table has ${inTable} rows, not ${raw.records}`]),
  ]
}

/**
 * Every one-minute window of the finest series has come, in the running total of its tenant, and
 * its repeats say the same.
 */
export async function otlpFaults({ stack, cluster }: System): Promise<{
  readonly wrong: readonly string[]
  readonly windows: number
  readonly repeats: number
}> {
  const values = new Map<string, Set<number>>()
  let repeats = 0
  for (const [[labels, endMs, value], times] of await stack.otlp.received()) {
    const key = `${labels['latency_lens.tenant']} ${endMs} ${labels.status}`
    values.set(key, (values.get(key) ?? new Set()).add(value))
    repeats += times - 1
  }
  const wrong: string[] = []
  const totals = new Map<string, number>()
  const counted = new Set<string>()
  for (const aggregate of await cluster.readTopic<Aggregate>(AGGREGATES)) {
    const { series, size_s, revision, requests, errors, cancelled } = aggregate
    if (Object.keys(series).length < 4 || size_s !== 60 || revision > 0) continue
    const window = `${series.tenant} ${aggregate.end}`
    if (counted.has(window)) continue
    counted.add(window)
    const counts = { ok: requests - errors - cancelled, error: errors, cancelled }
    // Running totals begin anew every six hours.
    const stream = Math.floor(aggregate.start / (6 * 3_600_000))
    for (const [status, count] of Object.entries(counts)) {
      const total = `${series.tenant} ${status} ${stream}`
      const want = (totals.get(total) ?? 0) + count
      totals.set(total, want)
      const key = `${window} ${status}`
      const got = [...(values.get(key) ?? [])].join()
      if (got !== String(want)) wrong.push(`OTLP: ${key} is ${got || 'missing'}, not ${want}`)
    }
  }
  return { wrong: wrong.slice(0, 5), windows: counted.size, repeats }
}

/**
 * Ranges that windowing wrote more than once, and the records of them that statistics had to drop:
 * a run without any has shown nothing.
 */
export async function repeatedRanges({
  bus,
  codec,
}: Cluster): Promise<{ repeated: number; dropped: number }> {
  const decode = codec.decoder(WINDOW_SLICES)
  const repeated = new Set<string>()
  let dropped = 0
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const closed = new Set<string>()
    for (const { value, appendMs } of await bus.readAll(WINDOW_SLICES, partition)) {
      const record = decode(value, appendMs).value as WindowSlice
      const { source_topic, source_partition, from, to, closing } = record
      const range = `${source_topic}-${source_partition} ${from} ${to}`
      if (from === to) continue
      if (closed.has(range)) {
        repeated.add(range)
        dropped++
      }
      if (closing) closed.add(range)
    }
  }
  return { repeated: repeated.size, dropped }
}
