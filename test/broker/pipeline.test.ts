import { expect } from 'chai'
import type { Aggregate, TokenEvents, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, TOKEN_EVENTS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import { partitionOf } from '../../services/core/hash.ts'
import { differences, latest, recompute } from '../pipeline/oracle.ts'
import { traffic } from '../pipeline/traffic.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { testEnvironment } from './environment.ts'
import { openLake } from './lake.ts'
import { SERVICES, type ServiceProcess, startService } from './processes.ts'

const PARTITIONS = 4
const DAY_US = 86_400e6
const SETTLED_MS = 30_000

/** A day ago, with 5 % of the records up to a minute late, over 40 series. */
const TRAFFIC = {
  seed: 7,
  requests: 7_000,
  series: 40,
  startUs: Math.floor((Date.now() * 1000 - DAY_US) / 900e6) * 900e6,
  spanUs: 600e6,
  chunksMax: 60,
  lateShare: 0.05,
  lateUsMax: 60e6,
}

/** After which part of the records which service is ended, and how. */
const RESTARTS: readonly [string, NodeJS.Signals][] = [
  ['windowing 1', 'SIGTERM'],
  ['statistics 1', 'SIGKILL'],
  ['windowing 2', 'SIGKILL'],
  ['triggers 1', 'SIGTERM'],
]

describe('broker/pipeline', () => {
  let cluster: Cluster
  let env: Record<string, string>
  const running = new Map<string, ServiceProcess>()

  before(async function () {
    this.timeout(180_000)
    env = { ...(await testEnvironment()).env }
    cluster = await openCluster(env, PARTITIONS)
    env = { ...env, LAKE_URL: `${env.LAKE_URL}/pipeline-${Date.now()}` }
    await Promise.all(SERVICES.map(start))
  })

  after(async function () {
    for (const [name, service] of running) {
      await service.end('SIGTERM')
      if (this.test?.parent?.tests.some((test) => test.isFailed())) {
        console.log(`${name}:\n${service.output()}`)
      }
    }
    await cluster?.close()
  })

  async function start(name: string): Promise<void> {
    const service = name.split(' ')[0]!
    // Shorter than a killed member is missed: the clock closes windows that events go on to fill.
    const argv = service === 'windowing' ? ['--idle-after', '5s'] : []
    running.set(name, await startService(service, env, argv))
  }

  async function restart(name: string, signal: NodeJS.Signals): Promise<void> {
    await running.get(name)!.end(signal)
    await start(name)
  }

  /** Appends in the order of sending; a partition's records of one part go in one append. */
  async function produce(records: readonly TokenEvents[]): Promise<void> {
    const sink = await cluster.bus.sink()
    for (let from = 0; from < records.length; from += 500) {
      const parts: { key: string; value: Uint8Array }[][] = []
      for (const record of records.slice(from, from + 500)) {
        const partition = partitionOf(record.request_id, PARTITIONS)
        parts[partition] ??= []
        const value = cluster.codec.encode(TOKEN_EVENTS, record)
        parts[partition].push({ key: record.request_id, value })
      }
      const sends = parts.map((part, partition) => sink.append(TOKEN_EVENTS, partition, part))
      await Promise.all(sends)
    }
    await sink.close()
  }

  it('gives exact final aggregates while every service is stopped, killed and started', async function () {
    this.timeout(240_000)
    const records = traffic(TRAFFIC).map(({ record }) => record)
    const chunks = records.reduce((sum, { gaps_us }) => sum + gaps_us.length, 0)
    expect(chunks).greaterThan(200_000)
    const part = Math.ceil(records.length / 5)
    for (let i = 0; i < 5; i++) {
      await produce(records.slice(i * part, (i + 1) * part))
      const [name, signal] = RESTARTS[i] ?? []
      if (name) await restart(name, signal!)
      if (i === 2) await restart('exporter 1', 'SIGKILL')
    }
    const lastMs = Date.now()
    const raw = await cluster.readTopic<TokenEvents>(TOKEN_EVENTS)
    expect(raw.length).equal(records.length)
    const exact = recompute(raw)
    let faults = ['nothing was published']
    let finalMs = 0
    while (faults.length > 0 && finalMs < SETTLED_MS + 20_000) {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      finalMs = Date.now() - lastMs
      faults = differences(latest(await cluster.readTopic<Aggregate>(AGGREGATES)), exact)
    }
    expect(faults.slice(0, 5)).deep.equal([])
    console.log(`        ${chunks} chunks, ${exact.size} windows, final after ${finalMs} ms`)
  })

  it('fires the rule on throughput when the load has stopped, with no new traffic', async function () {
    this.timeout(60_000)
    const events = await cluster.readTopic<TriggerEvent>(TRIGGER_EVENTS)
    // Services were away for longer than a partition takes to be idle: it may have fired then.
    const low = events.filter(({ rule }) => rule === 'throughput-low')
    const last = low.sort((a, b) => a.window_end - b.window_end).at(-1)
    expect(last).deep.include({ state: 'firing', series: {}, size_s: 300 })
    expect(last!.observed['requests.rate']).lessThan(10)
  })

  it('has every ended request and every final result once in the lake', async function () {
    this.timeout(60_000)
    expect(await running.get('exporter 1')!.end('SIGTERM')).equal(0)
    const query = await openLake(env.LAKE_URL!, env)
    const [requests] = await query(
      `SELECT count(*) AS n, count(DISTINCT request_id) AS ids, sum(chunks) AS chunks
       FROM read_parquet('LAKE/requests/**/*.parquet', hive_partitioning = true)`,
    )
    const ended = (await cluster.readTopic<TokenEvents>(TOKEN_EVENTS)).flatMap(({ end }) =>
      end ? [end.chunks] : [],
    )
    const chunks = ended.reduce((sum, n) => sum + n, 0)
    const n = String(ended.length)
    expect(requests).deep.equal({ n, ids: n, chunks: String(chunks) })
    // The silent fleet's windows of today go on being published while nobody writes them any more.
    const yesterday = ({ start }: Aggregate) => start * 1000 < TRAFFIC.startUs + DAY_US / 2
    const [windows] = await query(
      `SELECT count(*) AS windows, sum(requests) AS requests FROM (
         SELECT requests, row_number() OVER (
           PARTITION BY series, size_s, window_start ORDER BY revision DESC) AS place
         FROM read_parquet('LAKE/aggregates/**/*.parquet')
         WHERE epoch_us(window_start) < ${TRAFFIC.startUs + DAY_US / 2}) WHERE place = 1`,
    )
    const all = [...latest(await cluster.readTopic<Aggregate>(AGGREGATES)).values()]
    const published = all.filter(yesterday)
    const counted = published.reduce((sum, aggregate) => sum + aggregate.requests, 0)
    expect(windows).deep.equal({ windows: String(published.length), requests: String(counted) })
  })

  it('leaves no service that could not go on', () => {
    for (const service of running.values()) {
      expect(service.output()).not.match(/cannot go on|bug:|_range in partition/)
    }
  })
})
