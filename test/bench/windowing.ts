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
import type { PeerOptions } from './kafka-streams/peer.ts'
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
  { chunksPerRecord: 50, series: 40, chunks: 80e6, targets: PER_TOKEN },
  { chunksPerRecord: 50, series: 20_000, chunks: 80e6, targets: [] },
  { chunksPerRecord: 200, series: 1_000, chunks: 120e6, targets: [] },
]
const BOTH: readonly Case[] = [
  { chunksPerRecord: 50, series: 1_000, chunks: 80e6, targets: [atLeast('ratio', 4)] },
]
const SCALE: readonly Case[] = [{ chunksPerRecord: 50, series: 1_000, chunks: 80e6, targets: [] }]
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

/** Does some work: records a second of one run. */
type Side = (around: Around) => Promise<number>

interface Peer {
  readonly name: string
  readonly run: Side
  /** The form of Kafka Streams that it is, whose results are looked at. */
  readonly form: PeerOptions['form'] | null
}

interface Sides {
  readonly name: string
  readonly ours: Side
  readonly peers: readonly Peer[]
}

const FOLD: Peer = {
  name: 'Kafka Streams',
  form: 'windowing',
  run: (around) =>
    streams('windowing', 1, around, (group) => rateOf(around.cluster.admin, group, around.total)),
}

/** As Kafka Streams' guide teaches it: on its way through a topic by series. */
const DSL: Peer = {
  name: 'Kafka Streams DSL',
  form: 'dsl',
  run: (around) =>
    streams('dsl', 1, around, (group) => wholeRate(around, group, group, dslTopic(group))),
}

const BOTH_IN_ONE: Peer = {
  name: 'Kafka Streams',
  form: 'both',
  run: (around) =>
    streams('both', 2, around, (group) => wholeRate(around, group, group, STREAMS_SLICES)),
}

const ONE_PROCESS: Peer = { name: 'one process', form: null, run: ourWindowing(1) }

async function streams(
  form: PeerOptions['form'],
  threads: number,
  { servers, cluster, log }: Around,
  rate: (group: string) => Promise<number>,
): Promise<number> {
  const { group, stop } = await startStreams(servers, cluster, form, threads, log)
  const perSecond = await rate(group)
  await stop()
  return perSecond
}

function ourWindowing(processes: number): Side {
  return async ({ servers, cluster, total }) => {
    const stop = await startOurs(servers, cluster, Array(processes).fill('windowing'))
    const rate = await rateOf(cluster.admin, 'lens-windowing', total)
    await stop()
    return rate
  }
}

async function ourBoth(around: Around): Promise<number> {
  const stop = await startOurs(around.servers, around.cluster, ['windowing', 'statistics'])
  const rate = await wholeRate(around, 'lens-windowing', 'lens-statistics', WINDOW_SLICES)
  await stop()
  return rate
}

/** One process of each on the same topic and broker, all exactly once. */
export const windowing: Bench = benchOf(
  { name: 'windowing', ours: ourWindowing(1), peers: [FOLD, DSL] },
  TARGETS,
)

/** The same with other sizes of records and numbers of series. */
export const shapes: Bench = benchOf(
  { name: 'windowing', ours: ourWindowing(1), peers: [FOLD] },
  SHAPES,
)

/** Windowing and statistics, a process each, beside Kafka Streams that does both. */
export const both: Bench = benchOf(
  { name: 'windowing and statistics', ours: ourBoth, peers: [BOTH_IN_ONE] },
  BOTH,
)

/** Two processes on the same topic, beside one. */
export const scale: Bench = benchOf(
  { name: 'two processes of windowing', ours: ourWindowing(2), peers: [ONE_PROCESS] },
  SCALE,
)

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
  const all: (readonly [string, Side])[] = [
    ['ours', sides.ours],
    ...sides.peers.map(({ name, run }) => [name, run] as const),
  ]
  const rates: Record<string, number[]> = Object.fromEntries(all.map(([name]) => [name, []]))
  for (let run = 0; run < Math.min(runs, RUNS_MAX); run++) {
    for (const [name, side] of all) {
      const rate = tokens(await side(around))
      rates[name]!.push(rate)
      log(`${name}: ${(rate / 1e6).toFixed(2)} M tokens/s`)
    }
  }
  await checkTotals(sides, around, made)
  await cluster.close()
  return rates
}

/** Records a second in the measured part of the topic. */
async function rateOf(admin: Admin, group: string, total: number): Promise<number> {
  const first = await reached(admin, group, TOKEN_EVENTS, total * MEASURED.from)
  const last = await reached(admin, group, TOKEN_EVENTS, total * MEASURED.to)
  return ((last.records - first.records) / (last.atMs - first.atMs)) * 1000
}

/** Runs each form to the end once: all must have counted every chunk. */
async function checkTotals({ peers }: Sides, around: Around, chunks: number): Promise<void> {
  const { servers, cluster, log } = around
  const stopOurs = await startOurs(servers, cluster, ['windowing'])
  await caughtUp(cluster.admin, 'lens-windowing', TOKEN_EVENTS, 0)
  await stopOurs()
  const got = [await ourChunks(cluster, PARTITIONS)]
  for (const { form } of peers) {
    if (form === null) continue
    const { group, stop } = await startStreams(servers, cluster, form, 1, log)
    await caughtUp(cluster.admin, group, TOKEN_EVENTS, 0)
    if (form === 'dsl') await caughtUp(cluster.admin, group, dslTopic(group), MARKERS_MAX)
    // Its slices go on every second.
    await sleep(3_000)
    await stop()
    got.push(await streamsChunks(cluster, PARTITIONS))
  }
  if (got.some((count) => count !== chunks)) throw new Error(`${chunks} chunks became ${got}`)
}

/** As Kafka Streams calls the topic that its DSL sends the records through. */
function dslTopic(group: string): string {
  return `${group}-by-series-repartition`
}

type Rates = Readonly<Record<string, readonly number[]>>

/** A target of the value stands beside the first peer, one of a ratio beside each. */
function* figuresOf(
  { name, peers }: Sides,
  { series, targets, chunksPerRecord }: Case,
  rates: Rates,
): Iterable<Figure> {
  const own = {
    what: `${name}, ${chunksPerRecord} chunks a record, ${series} series`,
    unit: 'tokens/s',
    values: rates.ours!,
  }
  for (const [i, { name: peer }] of peers.entries()) {
    const figure: Figure = { ...own, peer: { name: peer, values: rates[peer]! } }
    const here = targets.filter(({ of }) => of === 'ratio' || i === 0)
    if (here.length === 0) yield figure
    for (const target of here) yield { ...figure, target }
  }
}

/** Records a second until everything that was read has gone through both steps. */
async function wholeRate(
  { cluster: { admin }, total }: Around,
  first: string,
  second: string,
  between: string,
): Promise<number> {
  const { atMs } = await reached(admin, first, TOKEN_EVENTS, 1)
  await reached(admin, first, TOKEN_EVENTS, total * MEASURED.to)
  await caughtUp(admin, second, between, MARKERS_MAX)
  return ((total * MEASURED.to) / (performance.now() - atMs)) * 1000
}
