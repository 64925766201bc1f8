import type { Aggregate, Slice } from '../../../schemas/records.ts'
import {
  addValue,
  createDistribution,
  type Distribution,
  distributionResult,
  encodeDistribution,
  mergeDistribution,
  mergeEncoded,
} from '../histogram/distribution.ts'
import { MEASURES, type Measure } from '../measure/measures.ts'
import {
  createGauge,
  encodeGauge,
  type GaugeSum,
  gaugeResult,
  mergeEncodedGauge,
  mergeGauge,
} from './gauge.ts'

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
  /** By measure id; null until something was measured. */
  readonly metrics: (Distribution | null)[]
  readonly gauges: Map<string, GaugeSum>
}

/** An aggregate of nothing. */
export function createAggregate(): SeriesAggregate {
  return {
    requests: 0,
    errors: 0,
    cancelled: 0,
    errorsByType: new Map(),
    chunks: 0,
    inputTokens: 0,
    outputTokens: 0,
    metrics: MEASURES.map(() => null),
    gauges: new Map(),
  }
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
  for (let id = 0; id < other.metrics.length; id++) {
    const distribution = other.metrics[id]
    if (distribution) mergeDistribution(distributionOf(target, id), distribution)
  }
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

interface Counts {
  requests: number
  errors: number
  cancelled: number
  chunks: number
}

function addCounts(
  target: SeriesAggregate,
  other: Counts & { inputTokens: number; outputTokens: number },
): void {
  target.requests += other.requests
  target.errors += other.errors
  target.cancelled += other.cancelled
  target.chunks += other.chunks
  target.inputTokens += other.inputTokens
  target.outputTokens += other.outputTokens
}

/** The record that carries an aggregate from windowing to statistics. */
export function encodeSlice(startMs: number, source: SeriesAggregate): Slice {
  return {
    start: startMs,
    requests: source.requests,
    errors: source.errors,
    cancelled: source.cancelled,
    errors_by_type: Object.fromEntries([...source.errorsByType].sort(byName)),
    chunks: source.chunks,
    input_tokens: source.inputTokens,
    output_tokens: source.outputTokens,
    metrics: source.metrics.flatMap((distribution, id) =>
      distribution ? [encodeDistribution(id, distribution)] : [],
    ),
    gauges: [...source.gauges].sort(byName).map(([name, gauge]) => encodeGauge(name, gauge)),
  }
}

/** Adds what encodeSlice wrote. Measures of a newer version of the table are left out. */
export function mergeSlice(target: SeriesAggregate, record: Slice): void {
  addCounts(target, {
    ...record,
    inputTokens: record.input_tokens,
    outputTokens: record.output_tokens,
  })
  for (const [type, times] of Object.entries(record.errors_by_type)) addErrors(target, type, times)
  for (const metric of record.metrics) {
    if (metric.id < MEASURES.length) mergeEncoded(distributionOf(target, metric.id), metric)
  }
  for (const gauge of record.gauges) mergeEncodedGauge(gaugeOf(target, gauge.name), gauge)
}

/** Which window a result is of, and how far it is settled. */
export interface WindowResult {
  readonly series: Readonly<Record<string, string>>
  readonly startMs: number
  readonly sizeMs: number
  readonly final: boolean
  readonly revision: number
  /** Not all source partitions have passed its end. */
  readonly incomplete?: boolean
}

/** The published form: lens.aggregates when final, lens.aggregates-live when not. */
export function aggregateResult(window: WindowResult, source: SeriesAggregate): Aggregate {
  return {
    series: window.series,
    size_s: window.sizeMs / 1000,
    start: window.startMs,
    end: window.startMs + window.sizeMs,
    final: window.final,
    revision: window.revision,
    incomplete: window.incomplete ?? false,
    requests: source.requests,
    errors: source.errors,
    cancelled: source.cancelled,
    errors_by_type: Object.fromEntries([...source.errorsByType].sort(byName)),
    chunks: source.chunks,
    input_tokens: source.inputTokens,
    output_tokens: source.outputTokens,
    metrics: Object.fromEntries(
      MEASURES.flatMap(({ id, name, unitShift }) => {
        const distribution = source.metrics[id]
        return distribution ? [[name, distributionResult(distribution, unitShift)]] : []
      }),
    ),
    gauges: Object.fromEntries(
      [...source.gauges].sort(byName).map(([name, gauge]) => [name, gaugeResult(gauge)]),
    ),
    goodput: null,
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
