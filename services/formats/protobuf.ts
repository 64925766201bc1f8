import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { Cell, Cells, Column, ColumnType } from './column.ts'
import { type Format, rowByRow } from './format.ts'
import { isWrapped } from './protobuf-schema.ts'

/** How one value stands on the wire, without its tag. */
interface Scalar {
  readonly wire: WireType
  /** What a field without presence has when it is not there. */
  readonly zero: Cell
  write(writer: BinaryWriter, value: Cell): void
  read(reader: BinaryReader): Cell
}

const TEXT: Scalar = {
  wire: WireType.LengthDelimited,
  zero: '',
  write: (writer, value) => writer.string(value as string),
  read: (reader) => reader.string(),
}
const LONG: Scalar = {
  wire: WireType.Varint,
  zero: 0,
  write: (writer, value) => writer.int64(value as number),
  read: (reader) => Number(reader.int64()),
}
const INT: Scalar = {
  wire: WireType.Varint,
  zero: 0,
  write: (writer, value) => writer.int32(value as number),
  read: (reader) => reader.int32(),
}
const DOUBLE: Scalar = {
  wire: WireType.Bit64,
  zero: 0,
  write: (writer, value) => writer.double(value as number),
  read: (reader) => reader.double(),
}
const BOOL: Scalar = {
  wire: WireType.Varint,
  zero: false,
  write: (writer, value) => writer.bool(value as boolean),
  read: (reader) => reader.bool(),
}

const SCALARS: Readonly<Record<ColumnType, Scalar>> = {
  string: TEXT,
  label: TEXT,
  int64: LONG,
  int32: INT,
  float64: DOUBLE,
  timestamp_us: LONG,
  bool: BOOL,
  int32_list: INT,
  int64_list: LONG,
  string_list: TEXT,
}

const ITEMS = 1

/** Messages of schemas/proto/lake.proto, each behind its length; field numbers are column ids. */
export const PROTOBUF: Format = {
  name: 'protobuf',
  extension: 'binpb',
  mediaType: 'application/vnd.google.protobuf',
  isStream: true,
  isText: false,
  isTyped: true,
  isColumnar: false,
  evolution: 'by number: a reader skips what it does not know, columns keep their numbers',
  writer: ({ columns }) =>
    rowByRow((rows) => {
      const writer = new BinaryWriter()
      for (const cells of rows) {
        writer.fork()
        columns.forEach((column, i) => {
          writeField(writer, column, i + 1, cells[i]!)
        })
        writer.join()
      }
      return writer.finish()
    }),
  read({ columns }, bytes) {
    const reader = new BinaryReader(bytes)
    const rows: Cells[] = []
    while (reader.pos < reader.len) rows.push(readRow(reader, columns))
    return rows
  },
}

function writeField(writer: BinaryWriter, column: Column, number: number, cell: Cell): void {
  if (cell === null) return
  const { wire, zero, write } = SCALARS[column.type]
  if (isWrapped(column)) {
    writer.tag(number, WireType.LengthDelimited).fork()
    writeItems(writer, column.type, ITEMS, cell as readonly Cell[])
    writer.join()
  } else if (Array.isArray(cell)) writeItems(writer, column.type, number, cell)
  else if (column.nullable || !Object.is(cell, zero)) write(writer.tag(number, wire), cell)
}

/** Numbers are packed, as proto3 has them. */
function writeItems(
  writer: BinaryWriter,
  type: ColumnType,
  number: number,
  items: readonly Cell[],
): void {
  const { write } = SCALARS[type]
  if (type === 'string_list') {
    for (const item of items) write(writer.tag(number, WireType.LengthDelimited), item)
  } else if (items.length > 0) {
    writer.tag(number, WireType.LengthDelimited).fork()
    for (const item of items) write(writer, item)
    writer.join()
  }
}

function readRow(reader: BinaryReader, columns: readonly Column[]): Cells {
  const end = reader.uint32() + reader.pos
  const cells: Cell[] = columns.map(absent)
  while (reader.pos < end) {
    const [number, wire] = reader.tag()
    const column = columns[number - 1]
    if (!column) reader.skip(wire, number)
    else cells[number - 1] = readField(reader, column, cells[number - 1]!)
  }
  return cells
}

function absent(column: Column): Cell {
  if (column.nullable) return null
  return column.type.endsWith('_list') ? [] : SCALARS[column.type].zero
}

function readField(reader: BinaryReader, column: Column, before: Cell): Cell {
  if (!column.type.endsWith('_list')) return SCALARS[column.type].read(reader)
  const items = (before ?? []) as Cell[]
  if (!isWrapped(column)) return readItems(reader, column.type, items)
  const end = reader.uint32() + reader.pos
  while (reader.pos < end) {
    reader.tag()
    readItems(reader, column.type, items)
  }
  return items as Cell
}

function readItems(reader: BinaryReader, type: ColumnType, items: Cell[]): Cell {
  const { read } = SCALARS[type]
  if (type === 'string_list') {
    items.push(read(reader))
    return items as Cell
  }
  const end = reader.uint32() + reader.pos
  while (reader.pos < end) items.push(read(reader))
  return items as Cell
}
