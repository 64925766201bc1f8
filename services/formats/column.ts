/** A value of a table's cell. A missing one is null, never zero and never an empty text. */
export type Cell = string | number | boolean | null | readonly number[] | readonly string[]

/** `label` is a text of few values, written as a dictionary; timestamps are µs since the epoch. */
export type ColumnType =
  | 'string'
  | 'label'
  | 'int64'
  | 'int32'
  | 'float64'
  | 'timestamp_us'
  | 'bool'
  | 'int32_list'
  | 'int64_list'
  | 'string_list'

/** One column of a dataset: its name, its type, and how its cell comes out of a record. */
export interface Column<R = unknown> {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  value(row: SourceRow<R>): Cell
}

/** A record and where in its topic it stands. */
export interface SourceRow<R = unknown> {
  readonly partition: number
  readonly offset: number
  readonly record: R
}

/** The cells of one row, in the order of the columns. */
export type Cells = readonly Cell[]

/** What the records of one topic become in the lake. Columns are only ever appended. */
export interface Dataset<R = unknown> {
  readonly name: string
  /** Grows when the meaning of a column changes. */
  readonly version: number
  readonly topic: string
  readonly columns: readonly Column<R>[]
  /** Whether the record becomes a row. */
  keeps(record: R): boolean
  /** Event time in µs since the epoch: the date and hour folder of the row. */
  eventUs(record: R): number
  /** The column that has it. */
  readonly timeColumn: string
  /** What compaction sorts by before it: columns of labels. */
  readonly sortColumns: readonly string[]
}

/** A column whose cell is never null. */
export function required<R>(name: string, type: ColumnType, of: (record: R) => Cell): Column<R> {
  return { name, type, nullable: false, value: ({ record }) => of(record) }
}

/** A column whose cell may be null. */
export function optional<R>(name: string, type: ColumnType, of: (record: R) => Cell): Column<R> {
  return { name, type, nullable: true, value: ({ record }) => of(record) }
}

/** Where each row comes from; with them the audit can match a lake against its topic. */
export const SOURCE_COLUMNS: readonly Column[] = [
  { name: 'kafka_partition', type: 'int32', nullable: false, value: (row) => row.partition },
  { name: 'kafka_offset', type: 'int64', nullable: false, value: (row) => row.offset },
]

/**
 * The cells of a row, or why a record cannot be one: a bad record must not stop a stage. They share
 * nothing with the record, which a decoder may use again for the next one.
 */
export function cellsOf(
  columns: readonly Column[],
  row: SourceRow,
): { readonly cells: Cells } | { readonly fault: string } {
  const cells: Cell[] = new Array(columns.length)
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i]!
    const cell = column.value(row)
    const fault = cellFault(column, cell)
    if (fault !== null) return { fault: `${column.name} of offset ${row.offset} ${fault}` }
    cells[i] = Array.isArray(cell) ? cell.slice() : cell
  }
  return { cells }
}

/** Why a cell cannot stand in a column, or null when it can. */
export function cellFault(column: Column, cell: Cell | undefined): string | null {
  if (cell === null) return column.nullable ? null : 'is null, but the column is not nullable'
  switch (column.type) {
    case 'string':
    case 'label':
      return typeof cell === 'string' ? null : `is no text: ${typeof cell}`
    case 'bool':
      return typeof cell === 'boolean' ? null : `is no boolean: ${typeof cell}`
    case 'float64':
      return typeof cell === 'number' ? null : `is no number: ${typeof cell}`
    case 'int32':
      return isInt32(cell) ? null : wide(cell)
    case 'int64':
    case 'timestamp_us':
      return Number.isSafeInteger(cell) ? null : unsafe(cell)
    case 'int32_list':
      return Array.isArray(cell) ? itemFault(cell, isInt32, wide) : 'is no list'
    case 'int64_list':
      return Array.isArray(cell) ? itemFault(cell, Number.isSafeInteger, unsafe) : 'is no list'
    case 'string_list':
      return Array.isArray(cell) ? itemFault(cell, isText, () => 'holds no text') : 'is no list'
  }
}

// Our numbers are doubles: beyond 2^53 one would stand in the file as its neighbour, unnoticed.
function unsafe(value: unknown): string {
  return `is ${value}, which is no integer within ±(2^53 - 1)`
}

function isInt32(value: unknown): boolean {
  return Number.isInteger(value) && value === ((value as number) | 0)
}

function wide(value: unknown): string {
  return `is ${value}, which is no 32-bit integer`
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function itemFault(
  items: readonly unknown[],
  good: (item: unknown) => boolean,
  say: (item: unknown) => string,
): string | null {
  for (const item of items) if (!good(item)) return say(item)
  return null
}
