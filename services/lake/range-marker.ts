import { createHash } from 'node:crypto'
import type { LakePlace } from './lake-path.ts'

/** Why a range of the log ended where it did. */
export type CutRule = 'time' | 'rows' | 'bytes' | 'files' | 'memory' | 'idle' | 'drain'

/** The records [from, to) of a topic-partition. */
export interface OffsetRange {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** How a range was cut out of its log. */
export interface RangeCut {
  readonly rule: CutRule
  /** Nothing had been committed before: what came before it, if anything did, is of nobody. */
  readonly anew: boolean
}

/** What became of the records of a range. */
export interface RangeCounts {
  readonly records: number
  /** Records that could not be decoded; windowing dead-letters them. */
  readonly bad: number
  /** Rows that no file can hold. */
  readonly refused: number
}

/** The hash of a file, as entries have it. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** One file of a range. */
export interface FileEntry {
  readonly path: string
  readonly dataset: string
  readonly rows: number
  readonly bytes: number
  /** In hex. */
  readonly sha256: string
}

/**
 * Says that all files of a range are in the lake, and which: put behind them and before the offset
 * is committed. The markers of a partition tile its log, also where a range has no row.
 */
export interface RangeMarker extends OffsetRange, RangeCut, RangeCounts {
  readonly files: readonly FileEntry[]
}

/** Where the markers are. */
export const MARKERS = '_ranges/'

const OFFSET_DIGITS = 20

/** An offset as it stands in names: their order is that of the numbers. */
export function offsetText(offset: number): string {
  return String(offset).padStart(OFFSET_DIGITS, '0')
}

/** The path of a range's marker: by its beginning only, so that no two can begin alike. */
export function markerPath({ topic, partition, from }: Omit<LakePlace, 'dataset'>): string {
  return `${MARKERS}${topic}/${partition}/${offsetText(from)}.json`
}

/** The bytes of a marker: the same for the same range, in every process. */
export function markerBytes(marker: RangeMarker): Uint8Array {
  const { topic, partition, from, to, rule, anew, records, bad, refused } = marker
  const files = marker.files.map(({ path, dataset, rows, bytes, sha256 }) => {
    return { path, dataset, rows, bytes, sha256 }
  })
  const all = { topic, partition, from, to, rule, anew, records, bad, refused, files }
  return Buffer.from(`${JSON.stringify(all)}\n`)
}

/** Reads what markerBytes wrote; throws on anything else. */
export function readMarker(bytes: Uint8Array): RangeMarker {
  const read = JSON.parse(Buffer.from(bytes).toString()) as RangeMarker
  const { topic, partition, from, to, files } = read
  const isMarker = typeof topic === 'string' && Number.isSafeInteger(partition)
  if (!isMarker || !(from < to) || !Array.isArray(files)) throw new Error('it is no range marker')
  return read
}
