import type { Distribution as DistributionRecord, SliceMetric } from '../../../schemas/records.ts'
import { bucketIndex, bucketIndexOfInt, bucketMiddle, SCALE } from './bucket.ts'
import {
  addProduct,
  clearExact,
  createExactSum,
  type ExactSum,
  exactValue,
  mergeExact,
} from './exact-sum.ts'

/**
 * A distribution of non-negative integers: exponential histogram, exact count, sum, sum of squares,
 * minimum and maximum. Everything is an integer, so merging is associative and commutative and any
 * split, order or replay of the same values gives the same state.
 */
export interface Distribution {
  count: number
  zeroCount: number
  readonly sum: ExactSum
  readonly squares: ExactSum
  min: number
  max: number
  /** Bucket index of counts[0]. */
  offset: number
  /** Bucket counts; the ends may be zero. Wide when a bucket might hold more than 2^32 - 1. */
  counts: Uint32Array | Float64Array
}

type Five = [number, number, number, number, number]

/** The largest value that is taken: 2^40 microseconds, 12 days. */
export const VALUE_MAX = 2 ** 40

const INT_END = 2 ** 31
const GROWTH = 32
const NO_COUNTS = new Uint32Array(0)
const NARROW_MAX = 2 ** 32 - 1

/** A distribution of nothing. */
export function createDistribution(): Distribution {
  return {
    count: 0,
    zeroCount: 0,
    sum: createExactSum(),
    squares: createExactSum(),
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    offset: 0,
    counts: NO_COUNTS,
  }
}

/** Makes it one of nothing again, with the room that it has. */
export function clearDistribution(target: Distribution): void {
  target.count = 0
  target.zeroCount = 0
  clearExact(target.sum)
  clearExact(target.squares)
  target.min = Number.POSITIVE_INFINITY
  target.max = Number.NEGATIVE_INFINITY
  target.counts.fill(0)
}

/** Counts an integer 0 <= value <= VALUE_MAX, `times` >= 1 times. */
export function addValue(target: Distribution, value: number, times: number): void {
  expectMore(target, times)
  target.count += times
  addProduct(target.sum, value, 1, times)
  addProduct(target.squares, value, value, times)
  if (value < target.min) target.min = value
  if (value > target.max) target.max = value
  if (value === 0) {
    target.zeroCount += times
    return
  }
  addToBucket(target, value < INT_END ? bucketIndexOfInt(value) : bucketIndex(value), times)
}

/** Widens the counts, if they must be for so many more values. */
export function expectMore(target: Distribution, times: number): void {
  if (target.count + times <= NARROW_MAX || target.counts instanceof Float64Array) return
  target.counts = Float64Array.from(target.counts)
}

function addToBucket(target: Distribution, index: number, times: number): void {
  const { offset, counts } = target
  if (index < offset || index >= offset + counts.length) {
    // Half as much again on that side: values come one by one, and each move is a copy.
    const spare = Math.max(GROWTH, counts.length >> 1)
    if (index < offset) cover(target, index - spare, index + 1)
    else cover(target, index, index + spare)
  }
  target.counts[index - target.offset]! += times
}

/** Adds `other` into `target`. */
export function mergeDistribution(target: Distribution, other: Distribution): void {
  if (other.count === 0) return
  expectMore(target, other.count)
  target.count += other.count
  target.zeroCount += other.zeroCount
  mergeExact(target.sum, other.sum)
  mergeExact(target.squares, other.squares)
  if (other.min < target.min) target.min = other.min
  if (other.max > target.max) target.max = other.max
  const [first, end] = occupied(other)
  if (first === end) return
  cover(target, other.offset + first, other.offset + end)
  const shift = other.offset - target.offset
  for (let i = first; i < end; i++) target.counts[i + shift]! += other.counts[i]!
}

/** Makes room for buckets [from, to). */
export function cover(target: Distribution, from: number, to: number): void {
  const { offset, counts } = target
  const empty = counts.length === 0
  if (!empty && from >= offset && to <= offset + counts.length) return
  const start = empty ? from : Math.min(from, offset)
  const end = empty ? to : Math.max(to, offset + counts.length)
  const first = Math.floor(start / GROWTH) * GROWTH
  const size = Math.ceil(end / GROWTH) * GROWTH - first
  const grown = counts instanceof Float64Array ? new Float64Array(size) : new Uint32Array(size)
  if (!empty) grown.set(counts, offset - first)
  target.offset = first
  target.counts = grown
}

/** The part of counts between the first and the last non-zero one, as [first, end). */
export function occupied({ counts }: Distribution): [number, number] {
  let first = 0
  let end = counts.length
  while (first < end && counts[first] === 0) first++
  while (end > first && counts[end - 1] === 0) end--
  return [first, end]
}

/**
 * The value at quantile q in (0, 1]: the smallest whose cumulative count reaches q * count, as the
 * logarithmic middle of its bucket, clamped to the exact minimum and maximum. Count must not be 0.
 */
export function quantile(source: Distribution, q: number): number {
  return quantiles(source, [q])[0]!
}

/** The values at several quantiles, which must not fall, in one pass. */
function quantiles(source: Distribution, qs: readonly number[]): number[] {
  const { count, counts, offset, min, max } = source
  let cumulative = source.zeroCount
  let next = 0
  return qs.map((q) => {
    const rank = Math.max(1, Math.ceil(q * count))
    while (cumulative < rank && next < counts.length) cumulative += counts[next++]!
    if (cumulative < rank) return max
    return next === 0 ? 0 : Math.min(max, Math.max(min, bucketMiddle(offset + next - 1)))
  })
}

/** Counts [first, end) as a list; Array.from takes twenty times as long. */
function listOf({ counts }: Distribution, first: number, end: number): number[] {
  const list = new Array<number>(end - first)
  for (let i = first; i < end; i++) list[i - first] = counts[i]!
  return list
}

/**
 * The published form of a distribution that is not empty, in units of 2^-unitShift of the counted
 * integers (0 for microseconds): a power of two moves a base-2 histogram without changing a count.
 */
export function distributionResult(source: Distribution, unitShift: number): DistributionRecord {
  const unit = 2 ** -unitShift
  const n = BigInt(source.count)
  const sum = exactValue(source.sum)
  // n * sum(x^2) - sum(x)^2 is an integer: the only rounding is in the last division.
  const spread = Math.sqrt(Number(n * exactValue(source.squares) - sum * sum)) / source.count
  const [first, end] = occupied(source)
  const [p50, p90, p95, p99, p999] = quantiles(source, [0.5, 0.9, 0.95, 0.99, 0.999]) as Five
  return {
    count: source.count,
    sum: Number(sum) * unit,
    min: source.min * unit,
    max: source.max * unit,
    mean: (Number(sum) / source.count) * unit,
    stddev: spread * unit,
    p50: p50 * unit,
    p90: p90 * unit,
    p95: p95 * unit,
    p99: p99 * unit,
    p999: p999 * unit,
    histogram: {
      scale: SCALE,
      zero_count: source.zeroCount,
      offset: first === end ? 0 : source.offset + first - unitShift * 2 ** SCALE,
      counts: listOf(source, first, end),
    },
  }
}

/** The record that carries a distribution between stages; its counts may be a view of others. */
export type EncodedDistribution = Omit<SliceMetric, 'counts'> & {
  readonly counts: ArrayLike<number>
}

/** A distribution's record: valid until anything is counted in it, or it is cleared. */
export function encodeDistribution(id: number, source: Distribution): EncodedDistribution {
  const [first, end] = occupied(source)
  return {
    id,
    count: source.count,
    zero_count: source.zeroCount,
    sum_high: source.sum.high,
    sum_low: source.sum.low,
    squares_high: source.squares.high,
    squares_low: source.squares.low,
    min: source.min,
    max: source.max,
    offset: first === end ? 0 : source.offset + first,
    counts: source.counts.subarray(first, end),
  }
}
