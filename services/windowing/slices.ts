import type { SliceAt } from '../core/windows/fold.ts'
import {
  type EncodedSlice,
  encodeSlice,
  mergeAggregate,
  type SeriesAggregate,
  SLICE_MS,
} from '../core/windows/slice.ts'

/** The slices of one series, by their number: the start in units of SLICE_MS, a small integer. */
export interface Slices {
  readonly byNumber: Map<number, SeriesAggregate>
  /** The slice that starts there, made when it is not there. */
  readonly at: SliceAt
}

/** None yet. */
export function createSlices(pool: () => SeriesAggregate): Slices {
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

/** Adds all slices of one series to those of another. */
export function mergeSlices(into: Slices, { byNumber }: Slices): void {
  for (const [number, slice] of byNumber) mergeAggregate(into.at(number * SLICE_MS), slice)
}

/** What is published of a series: in the order of time, a part to a record. */
export function encodedParts({ byNumber }: Slices): EncodedSlice[][] {
  const inOrder = [...byNumber].sort(([a], [b]) => a - b)
  return partsOf(inOrder.map(([number, slice]) => encodeSlice(number * SLICE_MS, slice)))
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
