import type { Cells, Dataset } from './column.ts'

export const FORMAT_NAMES = [
  'json',
  'ndjson',
  'csv',
  'protobuf',
  'msgpack',
  'arrow',
  'parquet',
] as const

export type FormatName = (typeof FORMAT_NAMES)[number]

/** Rows as bytes, part by part. */
export interface RowsWriter {
  /** The bytes that these rows add; a format whose end comes first gives none before end(). */
  add(rows: readonly Cells[]): Uint8Array
  end(): Uint8Array
}

/** One way to write the rows of a dataset, and to read them again exactly. */
export interface Format {
  readonly name: FormatName
  readonly extension: string
  readonly mediaType: string
  /** Whether a reader can begin before the writer has ended. */
  readonly isStream: boolean
  /** Whether a person can read it. */
  readonly isText: boolean
  /** Whether the type of a column is known without looking at its values. */
  readonly isTyped: boolean
  /** Whether a column can be read without the others. */
  readonly isColumnar: boolean
  /** What a reader of an earlier version does with a column that was added. */
  readonly evolution: string
  writer(dataset: Dataset): RowsWriter
  /** All rows of what one writer has made; throws on anything else. */
  read(dataset: Dataset, bytes: Uint8Array): Cells[]
}

const NOTHING = new Uint8Array(0)

/** A writer that has nothing to say at its end. */
export function rowByRow(add: RowsWriter['add']): RowsWriter {
  return { add, end: () => NOTHING }
}

/** A writer that must have seen all rows. */
export function allAtOnce(write: (rows: readonly Cells[]) => Uint8Array): RowsWriter {
  const all: Cells[] = []
  return {
    add(rows) {
      for (const row of rows) all.push(row)
      return NOTHING
    },
    end: () => write(all),
  }
}
