import type { WindowSlice } from '../../../schemas/records.ts'
import type { Series } from './series.ts'
import type { SeriesAggregate } from './slice.ts'

type Place = Omit<WindowSlice, 'series' | 'slices'>

/** A record of lens.window-slices, checked whole; its slices stay bytes until they are merged. */
export interface SliceRecord extends Place {
  /** Null in a closing record, and only there. */
  readonly series: Series | null
  /** Start of the first slice; NaN without one. */
  readonly firstMs: number
  /** Its slices as an Avro array. */
  readonly slices: Uint8Array
}

/** Where a slice is added; null: nowhere. */
export type SliceTarget = (startMs: number, requests: number) => SeriesAggregate | null

/** Adds the slices of a record, one after the other. */
export type MergeSlices = (record: SliceRecord, into: SliceTarget) => void
