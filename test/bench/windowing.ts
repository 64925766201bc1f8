import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { Cluster } from '../broker/cluster.ts'
import { caughtUp, reached } from './catch-up.ts'
import type { Bench, BenchSurroundings, Figure, Target } from './figure.ts'
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
  readonly targets: readonly Target[]
}

function atLeast(of: Target['of'], bound: number): Target {
  return { of, is: 'at least', bound }
}

const PER_RECORD = [atLeast('value', 400_000), atLeast('ratio', 1.5)]
const PER_TOKEN = [atLeast('value', 15e6), atLeast('ratio', 5)]
const TARGETS: readonly Case[] = [
  { chunksPerRecord: 1, series: 1_000, chunks: 3e6, targets: PER_RECORD },
  { chunksPerRecord: 50, series: 1_000, chunks: 80e6, targets: PER_TOKEN },
]
const SHAPES: readonly Case[] = [
  { chunksPerRecord: 16, series: 1_000, chunks: 40e6, targets: [] },
  { chunksPerRecord: 50, series: 40, chunks: 80e6, targets: [] },
  { chunksPerRecord: 50, series: 20_000, chunks: 80e6, targets: [] },
  { chunksPerRecord: 200, series: 1_000, chunks: 120e6, targets: [] },
]
const BOTH: readonly Case[] = [
  { chunksPerRecord: 50, series: 1_000, chunks: 80e6, targets: [atLeast('ratio', 4)] },
]
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

/** How the two sides do some work: records a second of one run. */
interface Sides {
  readonly name: string
  ours(around: Around): Promise<number>
  streams(around: Around): Promise<number>
}

const WINDOWING: Sides = {
  name: 'windowing',
  async ours({ servers, cluster, total }) {
    const stop = await startOurs(servers, cluster, ['windowing'])
    const rate = await rateOf(cluster.admin, 'lens-windowing', total)
    await stop()
    return rate
  },
  async streams({ servers, cluster, total, log }) {
    const { group, stop } = await startStreams(servers, cluster, 'windowing', 1, log)
    const rate = await rateOf(cluster.admin, group, total)
    await stop()
    return rate
  },
}

const WITH_STATISTICS: Sides = {
  name: 'windowing and statistics',
  async ours({ servers, cluster, total }) {
    const stop = await startOurs(servers, cluster, ['windowing', 'statistics'])
    const groups = { windowing: 'lens-windowing', statistics: 'lens-statistics' }
    const rate = await wholeRate(cluster, total, groups, WINDOW_SLICES)
    await stop()
    return rate
  },
  async streams({ servers, cluster, total, log }) {
    const { group, stop } = await startStreams(servers, cluster, 'both', 2, log)
    const groups = { windowing: group, statistics: group }
    const rate = await wholeRate(cluster, total, groups, STREAMS_SLICES)
    await stop()
    return rate
  },
}

/** One process of each on the same topic and broker, both exactly once. */
export const windowing: Bench = benchOf(WINDOWING, TARGETS)

/** The same with other sizes of records and numbers of series. */
export const shapes: Bench = benchOf(WINDOWING, SHAPES)

/** Windowing and statistics, a process each, beside Kafka Streams that does both. */
export const both: Bench = benchOf(WITH_STATISTICS, BOTH)

function benchOf(sides: Sides, cases: readonly Case[]): Bench {
  return {
    async *run(around) {
      const servers = await startServers(around.log)
      try {
        for (const each of cases) {
          yield* figuresOf(sides, each, await measure(sides, each, servers, around))
        }
      } finally {
        await servers.stop()
      }
    },
  }
}

/** Tokens a second of both sides. */
async function measure(
  sides: Sides,
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
    rates.ours.push(tokens(await sides.ours(around)))
    rates.streams.push(tokens(await sides.streams(around)))
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

function* figuresOf(
  { name }: Sides,
  { series, targets, chunksPerRecord }: Case,
  rates: Rates,
): Iterable<Figure> {
  const figure: Figure = {
    what: `${name}, ${chunksPerRecord} chunks a record, ${series} series`,
    unit: 'tokens/s',
    values: rates.ours,
    peer: { name: 'Kafka Streams', values: rates.streams },
  }
  if (targets.length === 0) yield figure
  for (const target of targets) yield { ...figure, target }
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
