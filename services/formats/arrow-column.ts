import {
  Bool,
  type Data,
  type DataType,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  List,
  makeData,
  makeVector,
  Timestamp,
  TimeUnit,
  Utf8,
} from 'apache-arrow'
import { utf8Column } from './arrow-text.ts'
import { type Cell, type Column, type ColumnType, cellFault } from './column.ts'

/** Which cells are not null: one bit each, lowest first; undefined when none is null. */
interface Validity {
  readonly nullCount: number
  readonly nullBitmap: Uint8Array | undefined
}

/**
 * The Arrow data of the cells of column `index`. The buffers are filled here: apache-arrow's own
 * builders take three times as long for them (measured), and the one for timestamps wants double
 * milliseconds. A dictionary's id is its column's index, because the library's own counter would
 * give each file other bytes. Throws on a cell that does not fit: rows come through cellsOf.
 */
export function columnData(column: Column, index: number, cells: readonly Cell[]): Data {
  for (let i = 0; i < cells.length; i++) {
    const fault = cellFault(column, cells[i])
    if (fault !== null) throw new Error(`bug: column ${column.name}, row ${i} ${fault}`)
  }
  return BUILDERS[column.type](cells, validityOf(cells), index)
}

const FIELD_ID = 'PARQUET:field_id'

/** Of the items of lists: behind every number that a column can have. */
const ELEMENT_IDS = 1_000

/** What table formats know a column by, whatever it is called: its place, from 1. */
export function fieldId(index: number): number {
  return index + 1
}

/** The same of the items of a list. */
export function elementId(index: number): number {
  return ELEMENT_IDS + index
}

/** Metadata of an Arrow field that says its id. */
export function withId(id: number): Map<string, string> {
  return new Map([[FIELD_ID, String(id)]])
}

const UTF8 = new Utf8()
const INT32 = new Int32()
const INT64 = new Int64()
const TIMESTAMP = new Timestamp(TimeUnit.MICROSECOND, 'UTC')
const NO_NULLS: Validity = { nullCount: 0, nullBitmap: undefined }

type Builder = (cells: readonly Cell[], validity: Validity, index: number) => Data

const BUILDERS: Readonly<Record<ColumnType, Builder>> = {
  string: (cells, validity) => {
    return makeData({ type: UTF8, length: cells.length, ...validity, ...utf8Column(cells) })
  },
  label: labelData,
  int64: (cells, validity) => wideData(INT64, cells, validity),
  timestamp_us: (cells, validity) => wideData(TIMESTAMP, cells, validity),
  int32: int32Data,
  float64: (cells, validity) => {
    const data = Float64Array.from(cells as readonly number[])
    return makeData({ type: new Float64(), length: cells.length, ...validity, data })
  },
  bool: (cells, validity) => {
    const data = bitmapOf(cells, (cell) => cell === true)
    return makeData({ type: new Bool(), length: cells.length, ...validity, data })
  },
  int32_list: (cells, validity, index) => {
    const items = cells.flatMap((cell) => (cell ?? []) as readonly number[])
    return listData(int32Data(items, NO_NULLS), cells, validity, index)
  },
  int64_list: (cells, validity, index) => {
    const items = cells.flatMap((cell) => (cell ?? []) as readonly number[])
    return listData(wideData(INT64, items, NO_NULLS), cells, validity, index)
  },
  string_list: (cells, validity, index) => {
    const items = cells.flatMap((cell) => (cell ?? []) as readonly string[])
    const child = makeData({ type: UTF8, length: items.length, ...NO_NULLS, ...utf8Column(items) })
    return listData(child, cells, validity, index)
  },
}

function labelData(cells: readonly Cell[], validity: Validity, index: number): Data {
  const codes = new Map<Cell, number>()
  const data = new Int32Array(cells.length)
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!
    if (cell === null) continue
    let code = codes.get(cell)
    if (code === undefined) {
      code = codes.size
      codes.set(cell, code)
    }
    data[i] = code
  }
  const texts = [...codes.keys()]
  const values = makeData({ type: UTF8, length: texts.length, ...NO_NULLS, ...utf8Column(texts) })
  const type = new Dictionary(UTF8, new Int32(), index)
  const dictionary = makeVector(values)
  return makeData({ type, length: cells.length, ...validity, data, dictionary })
}

function int32Data(cells: readonly Cell[], validity: Validity): Data {
  const data = Int32Array.from(cells as readonly number[])
  return makeData({ type: INT32, length: cells.length, ...validity, data })
}

// 64-bit integers as their two halves, low first: exact for every safe integer, negative ones too
// (`| 0` takes the value modulo 2^32), and without a BigInt for each.
function wideData(type: Int64 | Timestamp, cells: readonly Cell[], validity: Validity): Data {
  const halves = new Int32Array(2 * cells.length)
  for (let i = 0; i < cells.length; i++) {
    const value = cells[i] as number
    halves[2 * i] = value | 0
    halves[2 * i + 1] = Math.floor(value / 2 ** 32)
  }
  const data = new BigInt64Array(halves.buffer)
  return makeData({ type: type as DataType as Int64, length: cells.length, ...validity, data })
}

function listData(child: Data, cells: readonly Cell[], validity: Validity, index: number): Data {
  const type = new List(new Field('element', child.type, false, withId(elementId(index))))
  const valueOffsets = new Int32Array(cells.length + 1)
  for (let i = 0; i < cells.length; i++) {
    valueOffsets[i + 1] = valueOffsets[i]! + ((cells[i] ?? []) as readonly unknown[]).length
  }
  return makeData({ type, length: cells.length, ...validity, valueOffsets, child })
}

function validityOf(cells: readonly Cell[]): Validity {
  let nullCount = 0
  for (const cell of cells) if (cell === null) nullCount++
  if (nullCount === 0) return NO_NULLS
  return { nullCount, nullBitmap: bitmapOf(cells, (cell) => cell !== null) }
}

function bitmapOf(cells: readonly Cell[], isSet: (cell: Cell) => boolean): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(cells.length / 8))
  for (let i = 0; i < cells.length; i++) if (isSet(cells[i]!)) bitmap[i >> 3]! |= 1 << (i & 7)
  return bitmap
}
