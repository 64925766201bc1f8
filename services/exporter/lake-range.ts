import type { Decoded } from '../core/processor.ts'
import { type Cells, cellsOf, type Dataset } from '../formats/column.ts'
import { lakePath } from './lake-path.ts'

/** A file to write, as data: the shell makes the bytes and puts them. */
export interface LakeFile {
  readonly kind: 'lake-file'
  readonly path: string
  readonly dataset: string
  /** Cells in the order of the dataset's columns. */
  readonly rows: readonly Cells[]
  readonly range: OffsetRange
}

/** The records [from, to) of a topic-partition. */
export interface OffsetRange {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** What became of the records; of those made into one dataset, the rest became no row. */
export interface LakeStats {
  records: number
  /** Records that could not be decoded; windowing dead-letters them. */
  bad: number
  rows: number
  /** Records that were decoded but hold a value that no file can. */
  refused: number
  lastRefusal: string | null
  ranges: number
  files: number
}

/** A range that is still being filled. */
export interface OpenRange {
  readonly topic: string
  readonly partition: number
  readonly from: number
  /** Roll interval of the first record's append time. */
  readonly interval: number
  /** Offset after the last record. */
  to: number
  rowCount: number
  /** What the rows take in memory, about. */
  bytes: number
  /** By path, in the order of their first rows. */
  readonly files: Map<string, { readonly dataset: string; readonly rows: Cells[] }>
}

/** A range ends when it holds so much, however few rows: one has a megabyte at most. */
const RANGE_BYTES_MAX = 64 * 1024 * 1024

/** A file for each hour: requests of a second may have begun in any hour since 1970. */
const RANGE_FILES_MAX = 256

/** A range without records yet. */
export function openRange(
  place: Pick<OpenRange, 'topic' | 'partition' | 'from' | 'interval'>,
): OpenRange {
  return { ...place, to: place.from, rowCount: 0, bytes: 0, files: new Map() }
}

/** Whether the range takes no further record: a function of its records alone. */
export function isFull({ rowCount, bytes, files }: OpenRange, rowsMax: number): boolean {
  return rowCount >= rowsMax || bytes >= RANGE_BYTES_MAX || files.size >= RANGE_FILES_MAX
}

/** All counts at zero. */
export function createLakeStats(): LakeStats {
  return { records: 0, bad: 0, rows: 0, refused: 0, lastRefusal: null, ranges: 0, files: 0 }
}

/** Adds a record: to no file when it is bad or has no row, else to its dataset's and hour's. */
export function addRecord(
  range: OpenRange,
  record: Decoded,
  datasets: readonly Dataset[],
  stats: LakeStats,
): void {
  range.to = record.offset + 1
  stats.records += 1
  if (record.bad !== null) {
    stats.bad += 1
    return
  }
  for (const dataset of datasets) {
    if (!dataset.keeps(record.value)) continue
    const { topic, partition, from } = range
    const source = { partition, offset: record.offset, record: record.value }
    const row = cellsOf(dataset.columns, source)
    const place = { dataset: dataset.name, topic, partition, from }
    const path = lakePath(place, dataset.eventUs(record.value))
    if ('fault' in row || path === null) {
      stats.refused += 1
      stats.lastRefusal = 'fault' in row ? row.fault : `offset ${record.offset}: no event time`
      continue
    }
    const file = range.files.get(path)
    if (file) file.rows.push(row.cells)
    else range.files.set(path, { dataset: dataset.name, rows: [row.cells] })
    range.rowCount += 1
    range.bytes += sizeOf(row.cells)
    stats.rows += 1
  }
}

/** The files of a range that is complete. */
export function rangeFiles({ topic, partition, from, to, files }: OpenRange): LakeFile[] {
  const range = { topic, partition, from, to }
  return [...files].map(([path, { dataset, rows }]) => {
    return { kind: 'lake-file', path, dataset, rows, range }
  })
}

const CELL_BYTES = 8

function sizeOf(cells: readonly unknown[]): number {
  let bytes = 0
  for (const cell of cells) {
    bytes += CELL_BYTES
    if (typeof cell === 'string') bytes += cell.length
    else if (Array.isArray(cell)) bytes += sizeOf(cell)
  }
  return bytes
}
