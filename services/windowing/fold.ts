import type { ResourceSample } from '../../schemas/records.ts'
import { partitionOf } from '../core/hash.ts'
import type { Labels } from '../core/measure/labels.ts'
import type { TokenRun } from '../core/measure/token-run.ts'
import {
  eventTimeUs,
  firstSlice,
  foldRun,
  foldSample,
  forEachSlice,
  sliceStart,
} from '../core/windows/fold.ts'
import {
  createSeriesIndex,
  type Grouping,
  otherSeries,
  type RequestSeries,
  type Series,
  seriesOfSample,
} from '../core/windows/series.ts'
import type { EncodedSlice, SeriesAggregate } from '../core/windows/slice.ts'
import { type AggregatePool, createAggregatePool } from './aggregate-pool.ts'
import { createRunLog, type RunLog } from './run-log.ts'
import { createSlices, encodedParts, mergeSlices, type Slices } from './slices.ts'

export interface FoldPolicy {
  readonly groupings: readonly Grouping[]
  /** Series of one grouping in one range; the rest is folded into the `other` series. */
  readonly seriesMax: number
}

export const DEFAULT_SERIES_MAX = 20_000

/** What the ranges of all partitions use again and again. */
export interface FoldShared {
  readonly pool: AggregatePool
  readonly logs: RunLog[]
  readonly seriesOfLabels: (labels: Labels) => RequestSeries
}

/** How many empty logs are kept, and with how much room each: 128 MiB in all. */
const FREE_LOGS_MAX = 8
const FREE_LOG_BYTES_MAX = 16 * 1024 * 1024

/** Nothing yet. */
export function createFoldShared(groupings: readonly Grouping[]): FoldShared {
  return { pool: createAggregatePool(), logs: [], seriesOfLabels: createSeriesIndex(groupings) }
}

/**
 * One range in the making. At its end runs are counted series by series in the finest grouping, and
 * the other groupings merged from that.
 */
export interface Fold {
  run(run: TokenRun): void
  sample(sample: ResourceSample): void
  /**
   * The records to publish, by partition of the slices topic, in a fixed order; ends the range.
   * They are valid until it is released.
   */
  results(partitions: number): readonly (readonly SeriesSlices[])[]
  release(): void
  /** Slices that are held, of all series of the finest grouping: the memory of the range. */
  sliceCount(): number
  /** How many times a series was folded into `other`. */
  seriesFolded(): number
}

export interface SeriesSlices {
  readonly labels: Readonly<Record<string, string>>
  readonly slices: readonly EncodedSlice[]
}

/** An empty range. */
export function createFold({ groupings, seriesMax }: FoldPolicy, shared: FoldShared): Fold {
  const { seriesOfLabels } = shared
  const taken: SeriesAggregate[] = []
  const pool = () => {
    const one = shared.pool.take()
    taken.push(one)
    return one
  }
  const log = shared.logs.pop() ?? createRunLog()
  // Equal labels are mostly one object; after the table of labels has begun anew they are two.
  const byLabels = new Map<Labels, Kept>()
  const byText = new Map<string, Kept>()
  const samples: Table = new Map()
  const seriesPerGrouping = new Map<Grouping, Set<string>>(groupings.map((g) => [g, new Set()]))
  let folded = 0
  let sliceCount = 0

  /** The series itself, or the grouping's `other` one when the grouping is full. */
  function capped(grouping: Grouping, series: Series): Series {
    const known = seriesPerGrouping.get(grouping)!
    if (known.has(series.key)) return series
    if (known.size >= seriesMax) {
      folded++
      return otherSeries(grouping)
    }
    known.add(series.key)
    return series
  }

  function counted(kept: Kept): Slices {
    const slices = createSlices(pool)
    for (let at = kept.first; at >= 0; at = log.next(at)) foldRun(log.read(at), slices.at)
    return slices
  }

  function keptOf(labels: Labels): Kept {
    const { text } = seriesOfLabels(labels)
    const kept = byText.get(text) ?? { labels, first: -1, last: -1, newest: NaN, slices: new Set() }
    byText.set(text, kept)
    byLabels.set(labels, kept)
    return kept
  }

  function merged(): Table {
    const table: Table = new Map()
    const finest = [...byText.values()].map((kept) => [kept.labels, counted(kept)] as const)
    for (const { series, slices } of mergeFinest(finest, seriesOfLabels)) {
      series.byGrouping.forEach((own, i) => {
        addSlices(table, capped(groupings[i]!, own), slices, pool)
      })
    }
    for (const { series, slices } of samples.values()) addSlices(table, series, slices, pool)
    return table
  }

  return {
    run(run) {
      const place = log.keep(run)
      const kept = byLabels.get(run.labels) ?? keptOf(run.labels)
      if (kept.last < 0) kept.first = place
      else log.link(kept.last, place)
      kept.last = place
      sliceCount += newSlices(kept, run)
    },
    sample(sample) {
      for (const grouping of groupings) {
        const own = seriesOfSample(sample, grouping)
        if (own === null) continue
        const series = capped(grouping, own)
        const { slices } = rowOf(samples, series, pool)
        const before = slices.byNumber.size
        foldSample(sample, slices.at)
        sliceCount += slices.byNumber.size - before
      }
    },
    results(partitions) {
      const rows = [...merged().values()].sort((a, b) => (a.series.key < b.series.key ? -1 : 1))
      const byPartition: SeriesSlices[][] = Array.from({ length: partitions }, () => [])
      const partsBySlices = new Map<Slices, EncodedSlice[][]>()
      for (const { series, slices } of rows) {
        const into = byPartition[partitionOf(series.key, partitions)]!
        // A series that alone makes up one of another grouping has its slices.
        const parts = partsBySlices.get(slices) ?? encodedParts(slices)
        partsBySlices.set(slices, parts)
        for (const part of parts) into.push({ labels: series.labels, slices: part })
      }
      return byPartition
    },
    release() {
      shared.pool.giveBack(taken)
      log.clear()
      const isKept = shared.logs.length < FREE_LOGS_MAX && log.bytes() <= FREE_LOG_BYTES_MAX
      if (isKept) shared.logs.push(log)
    },
    sliceCount: () => sliceCount,
    seriesFolded: () => folded,
  }
}

interface Row {
  readonly series: Series
  /** Those of the first that was added, as they are, until there is a second one. */
  slices: Slices
  isOwn: boolean
}

type Table = Map<string, Row>

/** Runs of equal labels: the places of the first and the last, and which slices they are in. */
interface Kept {
  readonly labels: Labels
  first: number
  last: number
  /** The start of the slice that the last run was in; mostly the next one is in it too. */
  newest: number
  readonly slices: Set<number>
}

/** In how many slices the run is that no run before it was in. */
function newSlices(kept: Kept, run: TokenRun): number {
  const { slices } = kept
  const before = slices.size
  const last = sliceStart(eventTimeUs(run))
  if (firstSlice(run) !== last) forEachSlice(run, (startMs) => slices.add(startMs))
  else if (last !== kept.newest) {
    slices.add(last)
    kept.newest = last
  }
  return slices.size - before
}

/** The row of a sample's series. */
function rowOf(table: Table, series: Series, pool: () => SeriesAggregate): Row {
  let row = table.get(series.key)
  if (!row) {
    row = { series, slices: createSlices(pool), isOwn: true }
    table.set(series.key, row)
  }
  return row
}

function addSlices(
  table: Table,
  series: Series,
  slices: Slices,
  pool: () => SeriesAggregate,
): void {
  const row = table.get(series.key)
  if (!row) {
    table.set(series.key, { series, slices, isOwn: false })
    return
  }
  if (!row.isOwn) {
    const first = row.slices
    row.slices = createSlices(pool)
    row.isOwn = true
    mergeSlices(row.slices, first)
  }
  mergeSlices(row.slices, slices)
}

/** Labels that differ only in what no grouping names (provider, attributes) are one series. */
function mergeFinest(
  byLabels: Iterable<readonly [Labels, Slices]>,
  seriesOfLabels: (labels: Labels) => RequestSeries,
): Iterable<{ readonly series: RequestSeries; readonly slices: Slices }> {
  const table = new Map<string, { readonly series: RequestSeries; readonly slices: Slices }>()
  for (const [labels, slices] of byLabels) {
    const series = seriesOfLabels(labels)
    const row = table.get(series.finest.key)
    if (row) mergeSlices(row.slices, slices)
    else table.set(series.finest.key, { series, slices })
  }
  return table.values()
}
