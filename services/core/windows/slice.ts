import type { Slice, WindowSlice } from '../../../schemas/records.ts'
import {
  addValue,
  clearDistribution,
  createDistribution,
  type Distribution,
  type EncodedDistribution,
  encodeDistribution,
  mergeDistribution,
} from '../histogram/distribution.ts'
import { CHUNK_GAP, ITL, MEASURES, type Measure } from '../measure/measures.ts'
import { countGaps, settleGaps } from './gaps.ts'
import { createGauge, encodeGauge, type GaugeSum, mergeGauge } from './gauge.ts'

/** Length of a slice: the unit that windows are built from. */
export const SLICE_MS = 10_000

/** How many classes of errors, and gauges, one aggregate tells apart; the rest is `other`. */
export const ERROR_TYPES_MAX = 64
export const GAUGES_MAX = 128

/** What one series did in one span of event time. Any two of them can be merged. */
export interface SeriesAggregate {
  requests: number
  errors: number
  cancelled: number
  readonly errorsByType: Map<string, number>
  chunks: number
  inputTokens: number
  outputTokens: number
  /** By measure id; null or empty until something was measured. */
  readonly metrics: (Distribution | null)[]
  readonly gauges: Map<string, GaugeSum>
}

function createCounts() {
  return { requests: 0, errors: 0, cancelled: 0, chunks: 0, inputTokens: 0, outputTokens: 0 }
}

/** An aggregate of nothing. */
export function createAggregate(): SeriesAggregate {
  return {
    ...createCounts(),
    errorsByType: new Map(),
    metrics: MEASURES.map(() => null),
    gauges: new Map(),
  }
}

/** Makes it one of nothing again, with the room that it has. */
export function clearAggregate(target: SeriesAggregate): void {
  Object.assign(target, createCounts())
  target.errorsByType.clear()
  for (const distribution of target.metrics) if (distribution) clearDistribution(distribution)
  target.gauges.clear()
}

/** Counts a value of a measure `times` times. */
export function addMeasure(
  target: SeriesAggregate,
  measure: Measure,
  value: number,
  times: number,
): void {
  addValue(distributionOf(target, measure.id), value, times)
}

/**
 * Counts the gaps[from, to) of chunks behind the first one: each as a gap between chunks, and as
 * those between its tokens, where it has any. Without `tokens` each chunk has one.
 */
export function addGaps(
  target: SeriesAggregate,
  gapsUs: Int32Array,
  tokens: Int32Array | null,
  from: number,
  to: number,
): void {
  const [chunkGap, itl] = [distributionOf(target, CHUNK_GAP.id), distributionOf(target, ITL.id)]
  countGaps({ chunkGap, itl }, gapsUs, tokens, from, to)
}

/** Visits what was measured, by measure id: the only way in which distributions are read. */
export function forEachMetric(
  source: SeriesAggregate,
  visit: (id: number, distribution: Distribution) => void,
): void {
  settleGaps()
  const { metrics } = source
  for (let id = 0; id < metrics.length; id++) {
    const distribution = metrics[id]
    if (distribution && distribution.count > 0) visit(id, distribution)
  }
}

/** Counts `times` errors of a class. */
export function addErrors(target: SeriesAggregate, type: string, times: number): void {
  const { errorsByType } = target
  // avsc drops a key of that name from a map.
  const isName = type !== '__proto__'
  const known = isName && (errorsByType.has(type) || errorsByType.size < ERROR_TYPES_MAX)
  const key = known ? type : 'other'
  errorsByType.set(key, (errorsByType.get(key) ?? 0) + times)
}

/** The gauge of that name, made when it is not there. */
export function gaugeOf(target: SeriesAggregate, name: string): GaugeSum {
  const known = target.gauges.has(name) || target.gauges.size < GAUGES_MAX
  const key = known ? name : 'other'
  let gauge = target.gauges.get(key)
  if (!gauge) {
    gauge = createGauge()
    target.gauges.set(key, gauge)
  }
  return gauge
}

/** The distribution of a measure, made when it is not there. */
export function distributionOf(target: SeriesAggregate, id: number): Distribution {
  let distribution = target.metrics[id]
  if (!distribution) {
    distribution = createDistribution()
    target.metrics[id] = distribution
  }
  return distribution
}

/** Adds `other` into `target`. */
export function mergeAggregate(target: SeriesAggregate, other: SeriesAggregate): void {
  addCounts(target, other)
  forEachMetric(other, (id, distribution) => {
    mergeDistribution(distributionOf(target, id), distribution)
  })
  mergeLabelled(target, other)
}

/** The part of an aggregate that has names. */
export interface Labelled {
  readonly errorsByType: ReadonlyMap<string, number>
  readonly gauges: ReadonlyMap<string, GaugeSum>
}

/** Adds the errors and gauges of `other`. */
export function mergeLabelled(target: SeriesAggregate, other: Labelled): void {
  for (const [type, times] of other.errorsByType) addErrors(target, type, times)
  for (const [name, gauge] of other.gauges) mergeGauge(gaugeOf(target, name), gauge)
}

function addCounts(target: SeriesAggregate, other: SeriesAggregate): void {
  target.requests += other.requests
  target.errors += other.errors
  target.cancelled += other.cancelled
  target.chunks += other.chunks
  target.inputTokens += other.inputTokens
  target.outputTokens += other.outputTokens
}

/** The counts of an aggregate, as every record of one names them. */
export function encodeCounts(source: SeriesAggregate) {
  return {
    requests: source.requests,
    errors: source.errors,
    cancelled: source.cancelled,
    errors_by_type: entriesOf(source.errorsByType),
    chunks: source.chunks,
    input_tokens: source.inputTokens,
    output_tokens: source.outputTokens,
  }
}

function entriesOf(counts: ReadonlyMap<string, number>): Record<string, number> {
  return counts.size === 0 ? NO_ENTRIES : Object.fromEntries([...counts].sort(byName))
}

const NO_ENTRIES: Record<string, number> = Object.freeze({})

/** A slice's record, with counts that may be views. */
export type EncodedSlice = Omit<Slice, 'metrics'> & {
  readonly metrics: readonly EncodedDistribution[]
}

/** What windowing publishes. */
export type EncodedWindowSlice = Omit<WindowSlice, 'slices'> & {
  readonly slices: readonly EncodedSlice[]
}

/** The record that carries an aggregate to statistics: valid until anything is counted in it. */
export function encodeSlice(startMs: number, source: SeriesAggregate): EncodedSlice {
  const metrics: EncodedDistribution[] = []
  forEachMetric(source, (id, distribution) => {
    metrics.push(encodeDistribution(id, distribution))
  })
  return {
    start: startMs,
    ...encodeCounts(source),
    metrics,
    gauges: [...source.gauges].sort(byName).map(([name, gauge]) => encodeGauge(name, gauge)),
  }
}

/** Entries in the order of their names. */
export function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
