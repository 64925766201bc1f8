import { expect } from 'chai'
import type { Aggregate, TokenEvents, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, TOKEN_EVENTS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import { partitionOf } from '../../services/core/hash.ts'
import { differences, latest, recompute } from '../pipeline/oracle.ts'
import { traffic } from '../pipeline/traffic.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { testEnvironment } from './environment.ts'
import { type ServiceProcess, startService } from './processes.ts'

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

describe('broker/pipeline', () => {
  let cluster: Cluster
  let env: Record<string, string>
  const running = new Map<string, ServiceProcess>()

  before(async function () {
    this.timeout(180_000)
    ;({ env } = await testEnvironment())
    cluster = await openCluster(env, PARTITIONS)
    const names = ['windowing 1', 'windowing 2', 'statistics 1', 'statistics 2', 'triggers 1']
    await Promise.all(names.map(start))
  })

  after(async () => {
    for (const service of running.values()) await service.end('SIGTERM')
    await cluster?.close()
  })

  async function start(name: string): Promise<void> {
    running.set(name, await startService(name.split(' ')[0]!, env))
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
    const between = ['windowing 1', 'statistics 1', 'windowing 2', 'triggers 1'] as const
    for (let i = 0; i < 5; i++) {
      await produce(records.slice(i * part, (i + 1) * part))
      if (i < 4) await restart(between[i]!, i % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
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
    const low = events.filter(({ rule, state }) => rule === 'throughput-low' && state === 'firing')
    expect(low.length).greaterThan(0)
    const lastLoadMs = (TRAFFIC.startUs + TRAFFIC.spanUs) / 1000
    expect(low.some(({ window_end }) => window_end > lastLoadMs)).equal(true)
    expect(low.every(({ observed }) => observed['requests.rate']! < 10)).equal(true)
  })

  it('leaves no anomaly in any service', () => {
    for (const service of running.values()) {
      expect(service.output()).not.match(/cannot go on|bug:/)
    }
  })
})
