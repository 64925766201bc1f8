import type { ResourceSample } from '../../schemas/records.ts'
import { partitionOf } from '../core/hash.ts'
import type { Labels } from '../core/measure/labels.ts'
import type { TokenRun } from '../core/measure/token-run.ts'
import { foldRun, foldSample, type SliceAt } from '../core/windows/fold.ts'
import {
  createSeriesIndex,
  type Grouping,
  otherSeries,
  type RequestSeries,
  type Series,
  seriesOf,
} from '../core/windows/series.ts'
import {
  type EncodedSlice,
  encodeSlice,
  mergeAggregate,
  type SeriesAggregate,
  SLICE_MS,
} from '../core/windows/slice.ts'
import { type AggregatePool, createAggregatePool } from './aggregate-pool.ts'

export interface FoldPolicy {
  readonly groupings: readonly Grouping[]
  /** Series of one grouping in one range; the rest is folded into the `other` series. */
  readonly seriesMax: number
}

export const DEFAULT_SERIES_MAX = 20_000

/** What the ranges of all partitions use again and again. */
export interface FoldShared {
  readonly pool: AggregatePool
  readonly seriesOfLabels: (labels: Labels) => RequestSeries
}

/** Nothing yet. */
export function createFoldShared(groupings: readonly Grouping[]): FoldShared {
  return { pool: createAggregatePool(), seriesOfLabels: createSeriesIndex(groupings) }
}

/**
 * One range in the making: events go into the finest grouping, which the others are merged from at
 * its end.
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

/** The slices of one series, by their number: the start in units of SLICE_MS, a small integer. */
interface Slices {
  readonly byNumber: Map<number, SeriesAggregate>
  /** The slice that starts there, made when it is not there. */
  readonly at: SliceAt
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
  // Decoded labels are interned: one object, one series.
  const byLabels = new Map<Labels, Slices>()
  const samples: Table = new Map()
  const seriesPerGrouping = new Map<Grouping, Set<string>>(groupings.map((g) => [g, new Set()]))
  let folded = 0

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

  function merged(): Table {
    const table: Table = new Map()
    for (const { series, slices } of mergeFinest(byLabels, seriesOfLabels)) {
      series.byGrouping.forEach((own, i) => {
        addSlices(table, capped(groupings[i]!, own), slices, pool)
      })
    }
    for (const { series, slices } of samples.values()) addSlices(table, series, slices, pool)
    return table
  }

  return {
    run(run) {
      let slices = byLabels.get(run.labels)
      if (!slices) {
        slices = createSlices(pool)
        byLabels.set(run.labels, slices)
      }
      foldRun(run, slices.at)
    },
    sample(sample) {
      for (const grouping of groupings) {
        const labels = grouping.map((name) => [name, sampleLabel(sample, name)] as const)
        // A sample joins every grouping whose dimensions it carries.
        if (labels.some(([, value]) => value === '')) continue
        const series = capped(grouping, seriesOf(Object.fromEntries(labels)))
        foldSample(sample, rowOf(samples, series, pool).slices.at)
      }
    },
    results(partitions) {
      const rows = [...merged().values()].sort((a, b) => (a.series.key < b.series.key ? -1 : 1))
      const byPartition: SeriesSlices[][] = Array.from({ length: partitions }, () => [])
      const partsBySlices = new Map<Slices, EncodedSlice[][]>()
      for (const { series, slices } of rows) {
        const into = byPartition[partitionOf(series.key, partitions)]!
        // A series that alone makes up one of another grouping has its slices.
        const parts = partsBySlices.get(slices) ?? partsOf(encodeAll(slices))
        partsBySlices.set(slices, parts)
        for (const part of parts) into.push({ labels: series.labels, slices: part })
      }
      return byPartition
    },
    release: () => shared.pool.giveBack(taken),
    sliceCount: () => taken.length,
    seriesFolded: () => folded,
  }
}

function encodeAll({ byNumber }: Slices): EncodedSlice[] {
  const inOrder = [...byNumber].sort(([a], [b]) => a - b)
  return inOrder.map(([number, slice]) => encodeSlice(number * SLICE_MS, slice))
}

/** Old events of one second of arrivals may spread over days: a record must stay small. */
const PART_WEIGHT_MAX = 20_000

/** Cuts the slices of a series into records of a bounded size; a weight is about ten bytes. */
function partsOf(slices: readonly EncodedSlice[]): EncodedSlice[][] {
  const parts: EncodedSlice[][] = []
  let weight = Number.POSITIVE_INFINITY
  for (const slice of slices) {
    const own = slice.metrics.reduce((sum, { counts }) => sum + counts.length + 8, 20)
    const whole = own + 8 * (slice.gauges.length + Object.keys(slice.errors_by_type).length)
    if (weight + whole > PART_WEIGHT_MAX) {
      parts.push([])
      weight = 0
    }
    parts.at(-1)!.push(slice)
    weight += whole
  }
  return parts
}

interface Row {
  readonly series: Series
  /** Those of the first that was added, as they are, until there is a second one. */
  slices: Slices
  isOwn: boolean
}

type Table = Map<string, Row>

function createSlices(pool: () => SeriesAggregate): Slices {
  const byNumber = new Map<number, SeriesAggregate>()
  let last = Number.NaN
  let lastSlice: SeriesAggregate | undefined
  return {
    byNumber,
    at(startMs) {
      if (startMs === last) return lastSlice!
      last = startMs
      const number = startMs / SLICE_MS
      lastSlice = byNumber.get(number)
      if (!lastSlice) {
        lastSlice = pool()
        byNumber.set(number, lastSlice)
      }
      return lastSlice
    },
  }
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

function mergeSlices(into: Slices, { byNumber }: Slices): void {
  for (const [number, slice] of byNumber) mergeAggregate(into.at(number * SLICE_MS), slice)
}

/** Labels that differ only in what no grouping names (provider, attributes) are one series. */
function mergeFinest(
  byLabels: ReadonlyMap<Labels, Slices>,
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

function sampleLabel(sample: ResourceSample, name: string): string {
  if (name === 'endpoint' || name === 'model' || name === 'region') return sample[name]
  return sample.attributes[name] ?? ''
}
