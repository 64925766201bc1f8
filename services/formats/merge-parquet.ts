import { type Table, tableFromIPC } from 'apache-arrow'
import { toArrowByColumn, toArrowStream } from './arrow.ts'
import { tableCells } from './arrow-rows.ts'
import { type Cell, type Column, type Dataset, SOURCE_COLUMNS } from './column.ts'
import { NO_RANGE, type RowSource, toParquet } from './parquet.ts'

/**
 * The rows of files of one dataset, as parquetStream gives them, in one file: sorted by its columns
 * for that, then by time, then by where they come from. Columns that a file of an earlier version
 * lacks are null. Throws when a file cannot be read, or such a column cannot be null.
 */
export function mergeParquet(
  dataset: Dataset,
  streams: readonly Uint8Array[],
  sources: readonly RowSource[],
): Uint8Array {
  const { name, version, topic, columns } = dataset
  const tables = streams.map((stream) => tableFromIPC(stream))
  const cellsOf = (column: Column) => tables.flatMap((table) => tableCells(table, column))
  const order = orderOf(dataset, tables, cellsOf)
  // One column at a time: the cells of all would take many times the memory of the tables.
  const merged = toArrowByColumn(columns, order.length, (column) => {
    const cells = cellsOf(column)
    return Array.from(order, (row) => cells[row]!)
  })
  const metadata = { dataset: name, schemaVersion: version, topic, ...NO_RANGE, sources }
  return toParquet(toArrowStream(merged), columns, metadata)
}

/** The places of the rows in the order in which they are written. */
function orderOf(
  { columns, sortColumns, timeColumn }: Dataset,
  tables: readonly Table[],
  cellsOf: (column: Column) => readonly Cell[],
): Uint32Array {
  const columnNamed = (name: string) => columns.find((column) => column.name === name)!
  const labels = sortColumns.map((name) => ranksOf(cellsOf(columnNamed(name))))
  const numbers = [columnNamed(timeColumn), ...SOURCE_COLUMNS].map(cellsOf)
  const keys = [...labels, ...(numbers as readonly (readonly number[])[])]
  const rows = tables.reduce((sum, { numRows }) => sum + numRows, 0)
  return Uint32Array.from({ length: rows }, (_, i) => i).sort((a, b) => {
    for (const key of keys) if (key[a] !== key[b]) return key[a]! - key[b]!
    return 0
  })
}

/** Numbers in the order of the texts; a null comes first. */
function ranksOf(cells: readonly Cell[]): readonly number[] {
  const texts = [...new Set(cells as readonly (string | null)[])].filter((text) => text !== null)
  const ranks = new Map(texts.sort().map((text, rank) => [text as Cell, rank]))
  return cells.map((cell) => ranks.get(cell) ?? -1)
}
