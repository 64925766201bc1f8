/** A run of the whole pipeline on real servers while faults strike, and what it showed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Aggregate, TokenEvents, TriggerEvent } from '../../schemas/records.ts'
import {
  AGGREGATES,
  RESOURCE_SAMPLES,
  TOKEN_EVENTS,
  TRIGGER_EVENTS,
  WINDOW_SLICES,
} from '../../schemas/topics.ts'
import { partitionOf } from '../../services/core/hash.ts'
import { createRandom } from '../../services/core/random.ts'
import { type Cluster, openCluster } from '../broker/cluster.ts'
import { openLake } from '../broker/lake.ts'
import { differences, latest, recompute, triggerFaults } from '../pipeline/oracle.ts'
import { traffic } from '../pipeline/traffic.ts'
import { drawKind, REPLAY } from './fault-kinds.ts'
import { type FaultyStack, startFaultyStack } from './faulty-stack.ts'
import { watchProgress } from './progress.ts'
import { repeatedRanges } from './run-checks.ts'
import { type Supervised, supervise } from './supervisor.ts'

export interface FaultOptions {
  readonly faults: number
  readonly seed: number
  readonly requests: number
  readonly log: (line: string) => void
}

export interface FaultReport {
  /** What was wrong; nothing when all is well. */
  readonly wrong: readonly string[]
  readonly chunks: number
  readonly windows: number
  readonly struck: Readonly<Record<string, number>>
  /** After each kill -9 of a service with work to do, in order. */
  readonly recoveriesMs: readonly number[]
  readonly brokerRecoveriesMs: readonly number[]
  readonly seen: {
    readonly killsInWork: number
    readonly rebalances: number
    readonly replayedRanges: number
    readonly droppedDuplicates: number
  }
  /** From the last record, or the last fault, to the last correct window. */
  readonly settledMs: number
  readonly outputs: string
}

const ROOT = new URL('../../', import.meta.url).pathname
const PARTITIONS = 4
const DAY_US = 86_400e6
const SETTLE_MS_MAX = 120_000
const TRACKS = 2

const SERVICES: readonly [name: string, service: string][] = [
  ['windowing 1', 'windowing'],
  ['windowing 2', 'windowing'],
  ['statistics 1', 'statistics'],
  ['statistics 2', 'statistics'],
  ['triggers 1', 'triggers'],
  ['exporter 1', 'exporter'],
]
const EXTRA = 'windowing 3'

const GROUPS = {
  'lens-windowing': [TOKEN_EVENTS, RESOURCE_SAMPLES],
  'lens-statistics': [WINDOW_SLICES],
  'lens-triggers': [AGGREGATES],
  'lens-exporter-lake': [TOKEN_EVENTS, AGGREGATES, TRIGGER_EVENTS],
}

/** Starts everything, lets the faults strike while records are sent, and checks what came out. */
export async function runFaults(options: FaultOptions): Promise<FaultReport> {
  const names = [...SERVICES.map(([name]) => name), EXTRA]
  const stack = await startFaultyStack(names, options.log)
  const cluster = await openCluster(stack.env, PARTITIONS)
  const lake = `s3://lake/faults-${Date.now()}`
  const running = new Map<string, Supervised>()
  const startOne = (name: string, service: string): Supervised => {
    const argv = service === 'windowing' ? ['--idle-after', '5s'] : []
    return supervise(name, service, { ...stack.envOf(name), LAKE_URL: lake }, argv)
  }
  for (const [name, service] of SERVICES) running.set(name, startOne(name, service))
  try {
    return await underFaults(options, { stack, cluster, running, startOne, lake })
  } finally {
    await Promise.all([...running.values()].map((service) => service.stop()))
    await cluster.close()
    await stack.stop()
  }
}

interface Parts {
  readonly stack: FaultyStack
  readonly cluster: Cluster
  readonly running: ReadonlyMap<string, Supervised>
  readonly startOne: (name: string, service: string) => Supervised
  readonly lake: string
}

async function underFaults(options: FaultOptions, parts: Parts): Promise<FaultReport> {
  const { stack, cluster, running, lake } = parts
  const { log } = options
  const progress = watchProgress(cluster.admin, GROUPS)
  const load = startLoad(cluster, options)
  const kills: { group: string; atMs: number }[] = []
  const brokerKills: number[] = []
  const struck: Record<string, number> = {}
  let killsInWork = 0
  let left = options.faults

  async function track(number: number): Promise<void> {
    const random = createRandom(options.seed * 100 + number)
    const between = (from: number, to: number) => from + Math.floor(random() * (to - from + 1))
    // Each track has its own services, so that no two faults meet in one process.
    const own = SERVICES.filter((_, i) => i % TRACKS === number)
    while (left-- > 0) {
      const isFirst = Object.keys(struck).length === 0 && number === 0
      const kind = isFirst ? REPLAY : drawKind(random())
      const [name, service] = own[isFirst ? 0 : between(0, own.length - 1)]!
      if (kind.name === 'broker' || kind.name === 'scale' || kind.name === 'storm') {
        // One at a time: they belong to nobody.
        if (number !== 0) {
          left++
          await wait(200)
          continue
        }
      }
      const group = service === 'exporter' ? 'lens-exporter-lake' : `lens-${service}`
      const atMs = Date.now()
      if (kind.name === 'kill' && progress.backlog(group) > 0) killsInWork++
      const done = await kind.strike({ stack, target: running.get(name)!, between, another })
      struck[kind.name] = (struck[kind.name] ?? 0) + 1
      log(`${options.faults - left} of ${options.faults}: ${name}: ${done}`)
      if (kind.name === 'kill') kills.push({ group, atMs })
      if (kind.name === 'broker') brokerKills.push(atMs)
      await wait(between(500, 3_000))
    }
  }

  async function another(): Promise<() => Promise<void>> {
    const service = parts.startOne(EXTRA, 'windowing')
    return () => service.stop().then(() => {})
  }

  await Promise.all(Array.from({ length: TRACKS }, (_, number) => track(number)))
  await load.end()
  const endMs = Date.now()
  const raw = await cluster.readTopic<TokenEvents>(TOKEN_EVENTS)
  const exact = recompute(raw)
  const wrong: string[] = []
  if (raw.length !== load.sent()) wrong.push(`${raw.length} raw records, not ${load.sent()}`)
  let faults = ['nothing was published']
  while (faults.length > 0 && Date.now() - endMs < SETTLE_MS_MAX) {
    await wait(1_000)
    faults = await windowFaults(cluster, exact)
  }
  const settledMs = Date.now() - endMs
  wrong.push(...faults.slice(0, 5))
  wrong.push(...triggerFaults(await cluster.readTopic<TriggerEvent>(TRIGGER_EVENTS)))
  await caughtUp(progress, 'lens-exporter-lake')
  await running.get('exporter 1')!.stop()
  wrong.push(...(await lakeFaults(lake, stack, raw)))
  wrong.push(...(await auditFaults(stack)))
  await progress.stop()
  const { repeated, dropped } = await repeatedRanges(cluster.bus, cluster.codec, PARTITIONS)
  const finite = (group: string, atMs: number) => progress.recoveryMs(group, atMs)
  return {
    wrong,
    chunks: raw.reduce((sum, { gaps_us }) => sum + gaps_us.length, 0),
    windows: exact.size,
    struck,
    recoveriesMs: kills.flatMap(({ group, atMs }) => finite(group, atMs) ?? []),
    brokerRecoveriesMs: brokerKills.flatMap((atMs) => finite('lens-windowing', atMs) ?? []),
    seen: {
      killsInWork,
      rebalances: [...running.values()].reduce((sum, each) => sum + assignments(each), 0),
      replayedRanges: repeated,
      droppedDuplicates: dropped,
    },
    settledMs,
    outputs: [...running.values()].map((each) => `${each.name}:\n${each.output()}`).join('\n'),
  }
}

/** How often a service was given partitions anew. */
function assignments(service: Supervised): number {
  return (service.output().match(/: (no )?partitions/g) ?? []).length
}

/** Sends yesterday's records until it is told to end, then what is left at once. */
function startLoad(cluster: Cluster, { seed, requests, faults }: FaultOptions) {
  const startUs = Math.floor((Date.now() * 1000 - DAY_US) / 900e6) * 900e6
  const spanUs = Math.max(600e6, faults * 10e6)
  const shape = { series: 40, chunksMax: 60, lateShare: 0.05, lateUsMax: 60e6 }
  const records = traffic({ seed, requests, startUs, spanUs, ...shape }).map(({ record }) => record)
  const perTurn = Math.ceil(records.length / Math.max(1, faults * 20))
  let next = 0
  let ending = false
  const sending = send()

  async function send(): Promise<void> {
    const sink = await cluster.bus.sink()
    while (next < records.length) {
      const turn = records.slice(next, next + (ending ? 500 : perTurn))
      next += turn.length
      await append(sink, turn)
      if (!ending) await wait(250)
    }
    await sink.close()
  }

  async function append(sink: Awaited<ReturnType<Cluster['bus']['sink']>>, turn: TokenEvents[]) {
    const byPartition = new Map<number, { key: string; value: Uint8Array }[]>()
    for (const record of turn) {
      const partition = partitionOf(record.request_id, PARTITIONS)
      const list = byPartition.get(partition) ?? []
      byPartition.set(partition, list)
      list.push({ key: record.request_id, value: cluster.codec.encode(TOKEN_EVENTS, record) })
    }
    await Promise.all(
      [...byPartition].map(([partition, list]) => sink.append(TOKEN_EVENTS, partition, list)),
    )
  }

  return {
    sent: () => next,
    end() {
      ending = true
      return sending
    },
  }
}

async function windowFaults(
  cluster: Cluster,
  exact: ReturnType<typeof recompute>,
): Promise<string[]> {
  try {
    return [...differences(latest(await cluster.readTopic<Aggregate>(AGGREGATES)), exact)]
  } catch (error) {
    return [(error as Error).message]
  }
}

/** What `lens audit` finds. */
async function auditFaults(stack: FaultyStack): Promise<string[]> {
  const argv = ['services/lens/main.ts', 'audit']
  const env = { ...process.env, ...stack.env }
  const child = spawn(process.execPath, argv, {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  child.stdout.on('data', (bytes) => {
    said += String(bytes)
  })
  const [code] = await once(child, 'close')
  return code === 0 ? [] : [`audit ends with ${code}: ${said}`]
}

async function caughtUp(progress: { backlog(group: string): number }, group: string) {
  const endMs = Date.now() + 60_000
  while (progress.backlog(group) > 0 && Date.now() < endMs) await wait(500)
}

async function lakeFaults(
  lake: string,
  stack: FaultyStack,
  raw: readonly TokenEvents[],
): Promise<string[]> {
  const query = await openLake(lake, stack.env)
  const [row] = await query(
    `SELECT count(*) AS n, count(DISTINCT request_id) AS ids
     FROM read_parquet('LAKE/requests/**/*.parquet', hive_partitioning = true)`,
  )
  const ended = raw.filter(({ end }) => end !== null).length
  const isRight = Number(row!.n) === ended && Number(row!.ids) === ended
  return isRight ? [] : [`lake: ${row!.n} requests, ${row!.ids} different, not ${ended}`]
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
