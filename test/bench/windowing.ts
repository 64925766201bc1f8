import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { Cluster } from '../broker/cluster.ts'
import { caughtUp, reached } from './catch-up.ts'
import type { Bench, BenchSurroundings, Figure } from './figure.ts'
import {
  filledCluster,
  type Servers,
  STREAMS_SLICES,
  startOurs,
  startServers,
  startStreams,
} from './kafka-bench.ts'
import { ourChunks, streamsChunks } from './totals.ts'

interface Case {
  readonly chunksPerRecord: number
  readonly series: number
  readonly chunks: number
  readonly targets?: { readonly value: number; readonly ratio: number }
}

const TARGETS: readonly Case[] = [
  { chunksPerRecord: 1, series: 1_000, chunks: 3e6, targets: { value: 400_000, ratio: 1.5 } },
  { chunksPerRecord: 50, series: 1_000, chunks: 80e6, targets: { value: 15e6, ratio: 5 } },
]
const SHAPES: readonly Case[] = [
  { chunksPerRecord: 16, series: 1_000, chunks: 40e6 },
  { chunksPerRecord: 50, series: 40, chunks: 80e6 },
  { chunksPerRecord: 50, series: 20_000, chunks: 80e6 },
  { chunksPerRecord: 200, series: 1_000, chunks: 120e6 },
]
const BOTH: Case = { chunksPerRecord: 50, series: 1_000, chunks: 80e6 }
const PARTITIONS = 4
const RUNS_MAX = 3
/** The ends of transactions take offsets that nobody commits. */
const MARKERS_MAX = 64
/** Neither the start nor the last range, which waits for the broker's next second. */
const MEASURED = { from: 0.1, to: 0.95 }

interface Around {
  readonly servers: Servers
  readonly cluster: Cluster
  readonly total: number
  readonly log: (line: string) => void
}

/** One process of each on the same topic and broker, both exactly once. */
export const windowing: Bench = benchOf(TARGETS)

/** The same with other sizes of records and numbers of series. */
export const shapes: Bench = benchOf(SHAPES)

function benchOf(cases: readonly Case[]): Bench {
  return {
    async *run(around) {
      const servers = await startServers(around.log)
      try {
        for (const each of cases) yield* figuresOf(each, await measure(each, servers, around))
      } finally {
        await servers.stop()
      }
    },
  }
}

/** Tokens a second of both sides. */
async function measure(
  { chunksPerRecord, series, chunks }: Case,
  servers: Servers,
  { seed, runs, share, log }: BenchSurroundings,
): Promise<Rates> {
  const total = Math.ceil((chunks * share) / chunksPerRecord)
  const size = { seed, records: total, chunksPerRecord, series, partitions: PARTITIONS }
  const { cluster, chunks: made, bytes } = await filledCluster(servers, size)
  log(`${total} records of ${chunksPerRecord}, ${series} series: ${Math.round(bytes / 1e6)} MB`)
  const around = { servers, cluster, total, log }
  const tokens = (records: number) => (records * made) / total
  const rates = { ours: [] as number[], streams: [] as number[] }
  for (let run = 0; run < Math.min(runs, RUNS_MAX); run++) {
    rates.ours.push(tokens(await ours(around)))
    rates.streams.push(tokens(await streams(around)))
    logRates(rates, log)
  }
  await checkTotals(around, made)
  await cluster.close()
  return rates
}

function logRates({ ours, streams }: Rates, log: (line: string) => void): void {
  const millions = (rates: readonly number[]) => (rates.at(-1)! / 1e6).toFixed(2)
  log(`M tokens/s: ours ${millions(ours)}, Kafka Streams ${millions(streams)}`)
}

async function ours({ servers, cluster, total }: Around): Promise<number> {
  const stop = await startOurs(servers, cluster, ['windowing'])
  const rate = await rateOf(cluster.admin, 'lens-windowing', total)
  await stop()
  return rate
}

async function streams({ servers, cluster, total, log }: Around): Promise<number> {
  const { group, stop } = await startStreams(servers, cluster, 'windowing', 1, log)
  const rate = await rateOf(cluster.admin, group, total)
  await stop()
  return rate
}

/** Records a second in the measured part of the topic. */
async function rateOf(admin: Admin, group: string, total: number): Promise<number> {
  const first = await reached(admin, group, TOKEN_EVENTS, total * MEASURED.from)
  const last = await reached(admin, group, TOKEN_EVENTS, total * MEASURED.to)
  return ((last.records - first.records) / (last.atMs - first.atMs)) * 1000
}

/** Runs both to the end once: each must have counted every chunk. */
async function checkTotals({ servers, cluster, log }: Around, chunks: number): Promise<void> {
  const stopOurs = await startOurs(servers, cluster, ['windowing'])
  await caughtUp(cluster.admin, 'lens-windowing', TOKEN_EVENTS, 0)
  await stopOurs()
  const { group, stop } = await startStreams(servers, cluster, 'windowing', 1, log)
  await caughtUp(cluster.admin, group, TOKEN_EVENTS, 0)
  // Its slices go on every second.
  await sleep(3_000)
  await stop()
  const got = [await ourChunks(cluster, PARTITIONS), await streamsChunks(cluster, PARTITIONS)]
  if (got.some((count) => count !== chunks)) throw new Error(`${chunks} chunks became ${got}`)
}

type Rates = Readonly<Record<'ours' | 'streams', readonly number[]>>

function* figuresOf({ series, targets, chunksPerRecord }: Case, rates: Rates): Iterable<Figure> {
  const figure: Figure = {
    what: `windowing, ${chunksPerRecord} chunks a record, ${series} series`,
    unit: 'tokens/s',
    values: rates.ours,
    peer: { name: 'Kafka Streams', values: rates.streams },
  }
  if (!targets) yield figure
  else {
    yield { ...figure, target: { of: 'value', is: 'at least', bound: targets.value } }
    yield { ...figure, target: { of: 'ratio', is: 'at least', bound: targets.ratio } }
  }
}

/** Windowing and statistics, a process each, beside Kafka Streams that does both. */
export const both: Bench = {
  async *run({ seed, runs, share, log }) {
    const { chunksPerRecord, series, chunks } = BOTH
    const servers = await startServers(log)
    try {
      const total = Math.ceil((chunks * share) / chunksPerRecord)
      const size = { seed, records: total, chunksPerRecord, series, partitions: PARTITIONS }
      const { cluster, chunks: made } = await filledCluster(servers, size)
      const tokens = (records: number) => (records * made) / total
      const rates = { ours: [] as number[], streams: [] as number[] }
      for (let run = 0; run < Math.min(runs, RUNS_MAX); run++) {
        const stopOurs = await startOurs(servers, cluster, ['windowing', 'statistics'])
        const names = { windowing: 'lens-windowing', statistics: 'lens-statistics' }
        rates.ours.push(tokens(await wholeRate(cluster, total, names, WINDOW_SLICES)))
        await stopOurs()
        const { group, stop } = await startStreams(servers, cluster, 'both', 2, log)
        const same = { windowing: group, statistics: group }
        rates.streams.push(tokens(await wholeRate(cluster, total, same, STREAMS_SLICES)))
        await stop()
        logRates(rates, log)
      }
      await cluster.close()
      yield {
        what: `windowing and statistics, ${chunksPerRecord} chunks a record, ${series} series`,
        unit: 'tokens/s',
        values: rates.ours,
        peer: { name: 'Kafka Streams', values: rates.streams },
        target: { of: 'ratio', is: 'at least', bound: 4 },
      }
    } finally {
      await servers.stop()
    }
  },
}

/** Records a second until everything that was read has gone through both steps. */
async function wholeRate(
  { admin }: Cluster,
  total: number,
  groups: { readonly windowing: string; readonly statistics: string },
  between: string,
): Promise<number> {
  const { atMs } = await reached(admin, groups.windowing, TOKEN_EVENTS, 1)
  await reached(admin, groups.windowing, TOKEN_EVENTS, total * MEASURED.to)
  await caughtUp(admin, groups.statistics, between, MARKERS_MAX)
  return ((total * MEASURED.to) / (performance.now() - atMs)) * 1000
}
