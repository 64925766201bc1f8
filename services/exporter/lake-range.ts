import type { Decoded } from '../core/processor.ts'
import { type Cells, cellsOf, type Dataset } from '../formats/column.ts'
import { lakePath } from '../lake/lake-path.ts'
import type { CutRule, OffsetRange, RangeCounts, RangeCut } from '../lake/range-marker.ts'

/** A range of the log to write, as data: the shell makes the bytes and puts them. */
export interface LakeRange {
  readonly kind: 'lake-range'
  readonly range: OffsetRange
  readonly cut: RangeCut
  readonly counts: RangeCounts
  readonly files: readonly LakeFile[]
}

/** One file of a range. */
export interface LakeFile {
  readonly path: string
  readonly dataset: string
  /** Cells in the order of the dataset's columns. */
  readonly rows: readonly Cells[]
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
  /** Append time of the last record. */
  lastMs: number
  /** Of the largest file. */
  rows: number
  records: number
  bad: number
  refused: number
  /** What the rows take in memory, about. */
  bytes: number
  cut: RangeCut
  /** By path, in the order of their first rows. */
  readonly files: Map<string, { readonly dataset: string; readonly rows: Cells[] }>
}

/** A file for each hour: requests of a second may have begun in any hour since 1970. */
const RANGE_FILES_MAX = 256

/** What a range holds at most. */
export interface RangeBounds {
  /** Of one file. */
  readonly rowsMax: number
  /** Of memory, however few rows: one has a megabyte at most. */
  readonly bytesMax: number
}

/** A range without records yet. */
export function openRange(
  place: Pick<OpenRange, 'topic' | 'partition' | 'from' | 'interval' | 'cut'>,
): OpenRange {
  const counts = { rows: 0, records: 0, bad: 0, refused: 0, bytes: 0 }
  return { ...place, ...counts, to: place.from, lastMs: 0, files: new Map() }
}

/** By which rule the range takes no further record, if it takes none; of its records alone. */
export function fullBy(range: OpenRange, { rowsMax, bytesMax }: RangeBounds): CutRule | null {
  if (range.rows >= rowsMax) return 'rows'
  if (range.bytes >= bytesMax) return 'bytes'
  return range.files.size >= RANGE_FILES_MAX ? 'files' : null
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
  range.lastMs = record.appendMs
  range.records += 1
  stats.records += 1
  if (record.bad !== null) {
    range.bad += 1
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
      range.refused += 1
      stats.refused += 1
      stats.lastRefusal = 'fault' in row ? row.fault : `offset ${record.offset}: no event time`
      continue
    }
    const file = range.files.get(path) ?? { dataset: dataset.name, rows: [] }
    range.files.set(path, file)
    range.rows = Math.max(range.rows, file.rows.push(row.cells))
    range.bytes += sizeOf(row.cells)
    stats.rows += 1
  }
}

/** What a range that is complete becomes. */
export function lakeRange({
  topic,
  partition,
  from,
  to,
  cut,
  files,
  ...open
}: OpenRange): LakeRange {
  const { records, bad, refused } = open
  return {
    kind: 'lake-range',
    range: { topic, partition, from, to },
    cut,
    counts: { records, bad, refused },
    files: [...files].map(([path, { dataset, rows }]) => ({ path, dataset, rows })),
  }
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
