import { Field, makeData, RecordBatch, Schema, Struct, Table, tableToIPC } from 'apache-arrow'
import { columnData, fieldId, withId } from './arrow-column.ts'
import type { Cell, Cells, Column } from './column.ts'

/** Rows as an Arrow table of one batch. The same rows always give the same table. */
export function toArrow(columns: readonly Column[], rows: readonly Cells[]): Table {
  return toArrowByColumn(columns, rows.length, (_, index) => rows.map((cells) => cells[index]!))
}

/** The same from whatever has its cells by column. */
export function toArrowByColumn(
  columns: readonly Column[],
  length: number,
  cellsOf: (column: Column, index: number) => readonly Cell[],
): Table {
  const children = columns.map((column, i) => columnData(column, i, cellsOf(column, i)))
  const fields = columns.map((column, i) => {
    return new Field(column.name, children[i]!.type, column.nullable, withId(fieldId(i)))
  })
  const schema = new Schema(fields)
  const type = new Struct(fields)
  const data = makeData({ type, length, nullCount: 0, children })
  return new Table(schema, new RecordBatch(schema, data))
}

/**
 * The table as an Arrow IPC stream. Uncompressed: what apache-arrow 21.2.0 compresses, other
 * readers refuse (its length prefix is the compressed length; mended after this release).
 */
export function toArrowStream(table: Table): Uint8Array {
  return tableToIPC(table, 'stream')
}
