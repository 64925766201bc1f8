import { createRandom } from '../../services/core/random.ts'
import { DEFAULT_WINDOWS } from '../../services/core/windows/hopping.ts'
import { aggregateResult } from '../../services/core/windows/result.ts'
import {
  createAggregate,
  mergeAggregate,
  type SeriesAggregate,
  SLICE_MS,
} from '../../services/core/windows/slice.ts'
import {
  openPane,
  type Panes,
  packPanes,
  paneStart,
  windowSums,
} from '../../services/statistics/panes.ts'
import { type Bench, type Figure, slope } from './figure.ts'
import { countedOf, measuredOf } from './fleet.ts'
import { flow, trafficOf } from './flow.ts'
import { liveBytes } from './live-bytes.ts'
import { race } from './race.ts'
import { createEvaluator, minuteOf, rulesOf } from './triggers.ts'

/** The work in one size; what it makes is given back, so that it is still there. */
type Prepare = (size: number) => Promise<() => unknown>

interface Case {
  readonly what: string
  /** The work is made smaller by the share; how many rules or partitions there are is not. */
  readonly sizes: (share: number) => readonly number[]
  readonly prepare: (seed: number, share: number) => Prepare
}

const doubled = (first: number) => [1, 2, 4, 8].map((times) => first * times)
const scaled = (first: number) => (share: number) => doubled(Math.ceil(first * share))
const PARTITIONS = 4

const CASES: readonly Case[] = [
  {
    what: 'windowing and statistics, over chunks',
    sizes: scaled(5_000),
    prepare: (seed) => (records) => traffic({ seed, records, series: 500 }),
  },
  {
    what: 'windowing and statistics, over series',
    sizes: scaled(1_000),
    prepare: (seed, share) => (series) =>
      traffic({ seed, records: Math.ceil(16_000 * share), series, chunksPerRecord: 200 }),
  },
  {
    what: 'windowing and statistics, over partitions of the same load each',
    sizes: () => doubled(4),
    prepare: (seed, share) => (partitions) =>
      traffic({ seed, records: Math.ceil(1_000 * share) * partitions, series: 500, partitions }),
  },
  {
    what: 'triggers, over rules',
    sizes: () => doubled(12),
    prepare(seed, share) {
      const windows = minuteOf(Math.ceil(2_000 * share), seed)
      return async (rules) => () => {
        const evaluate = createEvaluator(rulesOf(rules))
        for (let minute = 0; minute < 3; minute++) evaluate(windows)
        return evaluate
      }
    },
  },
]

/** How CPU time and memory grow: slopes of logarithms, 1 where the cost is proportional. */
export const growth: Bench = {
  async *run({ seed, runs, share, log }) {
    for (const { what, sizes, prepare } of CASES) {
      const all = sizes(share)
      const workOf = prepare(seed, share)
      const works: (() => unknown)[] = []
      for (const size of all) works.push(await workOf(size))
      const slopes = { 'CPU time': [] as number[], memory: [] as number[] }
      // Once unmeasured, for the compiler.
      await measured(works.at(-1)!)
      for (let run = 0; run < runs; run++) {
        const costs: Awaited<ReturnType<typeof measured>>[] = []
        for (const work of works) costs.push(await measured(work))
        log(`${what}: ${all.map((size, i) => `${size}: ${said(costs[i]!)}`).join('; ')}`)
        slopes['CPU time'].push(
          slope(
            all,
            costs.map(({ ms }) => ms),
          ),
        )
        slopes.memory.push(
          slope(
            all,
            costs.map(({ bytes }) => bytes),
          ),
        )
      }
      const from = `${all[0]} to ${all.at(-1)}`
      const target = { of: 'value', is: 'at most', bound: 1.1 } as const
      for (const kind of ['CPU time', 'memory'] as const) {
        yield { what: `${what}, ${from}: ${kind}`, unit: 'slope', values: slopes[kind], target }
      }
    }
    yield* windowsFromPanes(seed, { runs, atLeastMs: 400 * share })
  },
}

async function measured(work: () => unknown): Promise<{ ms: number; bytes: number }> {
  const before = await liveBytes()
  const started = process.cpuUsage()
  const made = work()
  const { user, system } = process.cpuUsage(started)
  const bytes = Math.max(1, (await liveBytes()) - before)
  // Looked at, so that it is not collected before.
  if (made === undefined) throw new Error('nothing was made')
  return { ms: (user + system) / 1000, bytes }
}

function said({ ms, bytes }: { ms: number; bytes: number }): string {
  return `${Math.round(ms)} ms, ${Math.round(bytes / 1e6)} MB`
}

interface Sizes {
  readonly seed: number
  readonly records: number
  readonly series: number
  readonly chunksPerRecord?: number
  readonly partitions?: number
}

async function traffic(sizes: Sizes): Promise<() => unknown> {
  const all = { chunksPerRecord: 50, partitions: PARTITIONS, ...sizes }
  const { log, codec } = await trafficOf(all)
  return () => flow(log, codec, all.partitions)
}

/** All windows that end at one instant: from panes, beside each from its slices and nothing. */
async function* windowsFromPanes(
  seed: number,
  options: { readonly runs: number; readonly atLeastMs: number },
): AsyncIterable<Figure> {
  const random = createRandom(seed)
  const endMs = DEFAULT_WINDOWS.sizesMs.at(-1)!
  const slices = new Map<number, SeriesAggregate>()
  const panes: Panes = new Map()
  for (let startMs = 0; startMs < endMs; startMs += SLICE_MS) {
    const slice = countedOf(4, 50, measuredOf(4, 50, random))
    slices.set(startMs, slice)
    mergeAggregate(openPane(panes, paneStart(DEFAULT_WINDOWS, startMs)), slice)
  }
  packPanes(panes, DEFAULT_WINDOWS, Number.NEGATIVE_INFINITY, endMs)
  const settled = { series: {}, final: true, revision: 0 }
  const result = (sizeMs: number, sum: SeriesAggregate) =>
    aggregateResult({ ...settled, startMs: endMs - sizeMs, sizeMs }, sum)
  const sizes = DEFAULT_WINDOWS.sizesMs
  const all = (from: () => void) => () => {
    from()
    return sizes.length
  }
  const rates = await race(
    {
      summed: all(() => {
        for (const _ of windowSums(panes, DEFAULT_WINDOWS, endMs));
      }),
      summedFromScratch: all(() => {
        for (const sizeMs of sizes) fromScratch(slices, endMs - sizeMs, endMs)
      }),
      made: all(() => {
        for (const { sizeMs, sum } of windowSums(panes, DEFAULT_WINDOWS, endMs)) result(sizeMs, sum)
      }),
      madeFromScratch: all(() => {
        for (const sizeMs of sizes) result(sizeMs, fromScratch(slices, endMs - sizeMs, endMs))
      }),
    },
    options,
  )
  const name = 'each from its slices'
  const unit = 'windows/s'
  yield {
    ...{ what: 'windows of 1, 5 and 15 min, summed', unit, values: rates.summed },
    peer: { name, values: rates.summedFromScratch },
  }
  yield {
    ...{ what: 'windows of 1, 5 and 15 min, summed and made', unit, values: rates.made },
    peer: { name, values: rates.madeFromScratch },
  }
}

function fromScratch(
  slices: ReadonlyMap<number, SeriesAggregate>,
  startMs: number,
  endMs: number,
): SeriesAggregate {
  const total = createAggregate()
  for (const [sliceMs, slice] of slices) {
    if (sliceMs >= startMs && sliceMs < endMs) mergeAggregate(total, slice)
  }
  return total
}
