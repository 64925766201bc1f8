import type { Gauge, SliceGauge } from '../../../schemas/records.ts'
import {
  addExact,
  createExactSum,
  type ExactSum,
  exactValue,
  mergeExact,
} from '../histogram/exact-sum.ts'

/**
 * Readings of one gauge. The sum is kept in whole units of 2^-20, since adding doubles depends on
 * the order; the last reading is the one with the latest event time, the larger one on a tie.
 */
export interface GaugeSum {
  count: number
  readonly sum: ExactSum
  min: number
  max: number
  last: number
  lastAtUs: number
}

const UNITS = 2 ** 20

/** The largest magnitude of a reading: sums of 2^25 of them fit their limbs. */
export const GAUGE_MAX = 2 ** 60

/** A gauge without readings. */
export function createGauge(): GaugeSum {
  return {
    count: 0,
    sum: createExactSum(),
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    last: 0,
    lastAtUs: Number.NEGATIVE_INFINITY,
  }
}

/** Adds a finite reading, |value| <= GAUGE_MAX, taken at `atUs` microseconds since the epoch. */
export function addReading(target: GaugeSum, value: number, atUs: number): void {
  target.count += 1
  addExact(target.sum, Math.round(value * UNITS))
  // Of 0 and -0 one would win by the order in which they came.
  const plain = value + 0
  include(target, plain, plain, plain, atUs)
}

/** Adds `other` into `target`. */
export function mergeGauge(target: GaugeSum, other: GaugeSum): void {
  target.count += other.count
  mergeExact(target.sum, other.sum)
  include(target, other.min, other.max, other.last, other.lastAtUs)
}

function include(target: GaugeSum, min: number, max: number, last: number, atUs: number): void {
  if (min < target.min) target.min = min
  if (max > target.max) target.max = max
  const later = atUs > target.lastAtUs || (atUs === target.lastAtUs && last > target.last)
  if (later) {
    target.last = last
    target.lastAtUs = atUs
  }
}

/** The published form of a gauge that has readings. */
export function gaugeResult(source: GaugeSum): Gauge {
  const { count, min, max, last } = source
  return { count, min, max, mean: Number(exactValue(source.sum)) / UNITS / count, last }
}

/** The record that carries a gauge between stages. */
export function encodeGauge(name: string, source: GaugeSum): SliceGauge {
  return {
    name,
    count: source.count,
    sum_high: source.sum.high,
    sum_low: source.sum.low,
    min: source.min,
    max: source.max,
    last: source.last,
    last_at: source.lastAtUs,
  }
}

/** Adds what encodeGauge wrote. */
export function mergeEncodedGauge(target: GaugeSum, record: SliceGauge): void {
  target.count += record.count
  target.sum.high += record.sum_high
  addExact(target.sum, record.sum_low)
  include(target, record.min, record.max, record.last, record.last_at)
}
