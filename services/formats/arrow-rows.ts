import { type Data, DataType, type Table, type Vector } from 'apache-arrow'
import type { Cell, Cells, Column } from './column.ts'

/** The rows of a table in the order of the columns; a column that it lacks is null. */
export function tableRows(table: Table, columns: readonly Column[]): Cells[] {
  const all = columns.map((column) => tableCells(table, column))
  return Array.from({ length: table.numRows }, (_, i) => all.map((cells) => cells[i]!))
}

/** The cells of one column of a table; null, all of them, when it lacks the column. */
export function tableCells(table: Table, { name }: Column): Cell[] {
  const vector = table.getChild(name)
  return vector ? cellsOf(vector) : new Array(table.numRows).fill(null)
}

/** The library's own values are wrong for timestamps (double milliseconds): those are read here. */
function cellsOf(vector: Vector): Cell[] {
  if (DataType.isTimestamp(vector.type)) return vector.data.flatMap(longs)
  return Array.from(vector, cellOf)
}

function longs(data: Data): Cell[] {
  const values = data.values as BigInt64Array | Int32Array
  const wide = values instanceof BigInt64Array ? values : new BigInt64Array(values.buffer)
  return Array.from({ length: data.length }, (_, i) => {
    return data.getValid(i) ? Number(wide[i]) : null
  })
}

function cellOf(value: unknown): Cell {
  if (typeof value === 'bigint') return Number(value)
  if (value === null || typeof value !== 'object') return value as Cell
  return Array.from(value as Iterable<unknown>, cellOf) as Cell
}
