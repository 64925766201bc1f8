import { createRequire } from 'node:module'
import { Writable } from 'node:stream'
import { type BasicType, parquetWriteBuffer } from 'hyparquet-writer'
import { toArrow, toArrowStream } from '../../services/formats/arrow.ts'
import { type Cell, type Cells, type ColumnType, cellsOf } from '../../services/formats/column.ts'
import { toParquet } from '../../services/formats/parquet.ts'
import { REQUESTS } from '../../services/formats/requests-dataset.ts'
import { NOON_US } from '../records.ts'
import type { Bench } from './figure.ts'
import { race } from './race.ts'
import { REQUEST_CHUNKS, requests } from './requests.ts'

interface ParquetjsWriter {
  appendRow(row: Record<string, unknown>): Promise<void>
  close(): Promise<void>
}
/** What this bench uses of a package without types. */
interface Parquetjs {
  readonly ParquetSchema: new (fields: Record<string, object>) => object
  readonly ParquetWriter: {
    openStream(schema: object, stream: Writable): Promise<ParquetjsWriter>
  }
}
const require = createRequire(import.meta.url)
const parquetjs: Parquetjs = require('parquetjs-lite')

const ROWS = 50_000
const COLUMNS = REQUESTS.columns

/** Rows of the requests dataset, cells to bytes; the peers with snappy, which is their best. */
export const parquet: Bench = {
  async *run({ seed, runs, share }) {
    const rows = rowsOf(seed, Math.ceil(ROWS * share))
    const sizes = { ours: 0, 'parquetjs-lite': 0, 'hyparquet-writer': 0 }
    const sized = (name: keyof typeof sizes, bytes: number) => {
      sizes[name] = bytes / rows.length
      return rows.length
    }
    const rates = await race(
      {
        ours: () => sized('ours', ours(rows).length),
        'parquetjs-lite': async () => sized('parquetjs-lite', await byParquetjs(rows)),
        'hyparquet-writer': () => sized('hyparquet-writer', byHyparquet(rows)),
      },
      { runs, atLeastMs: 300 * share },
    )
    for (const name of ['parquetjs-lite', 'hyparquet-writer'] as const) {
      const isTarget = name === 'parquetjs-lite'
      yield {
        what: `Parquet, ${COLUMNS.length} columns`,
        unit: 'rows/s',
        values: rates.ours,
        peer: { name, values: rates[name] },
        ...(isTarget && { target: { of: 'ratio', is: 'at least', bound: 6 } }),
      }
      yield {
        what: `Parquet, ${COLUMNS.length} columns`,
        unit: 'bytes/row',
        values: [sizes.ours],
        peer: { name, values: [sizes[name]] },
        ...(isTarget && { target: { of: 'ratio', is: 'at most', bound: 0.6 } }),
      }
    }
  },
}

function rowsOf(seed: number, count: number): Cells[] {
  const size = { records: count, chunksPerRecord: REQUEST_CHUNKS, series: 1_000 }
  const made = requests({ seed, ...size, startUs: NOON_US, spanUs: 60e6 })
  return made.map((record, offset) => {
    const row = cellsOf(COLUMNS, { partition: 0, offset, record })
    if ('fault' in row) throw new Error(row.fault)
    return row.cells
  })
}

function ours(rows: readonly Cells[]): Uint8Array {
  const place = { topic: 'lens.token-events', partition: 0, from: 0, to: rows.length }
  const file = { dataset: REQUESTS.name, schemaVersion: REQUESTS.version, ...place }
  return toParquet(toArrowStream(toArrow(COLUMNS, rows)), COLUMNS, file)
}

const PARQUETJS_TYPES: Readonly<Record<ColumnType, object>> = {
  string: { type: 'UTF8' },
  label: { type: 'UTF8' },
  int64: { type: 'INT64' },
  int32: { type: 'INT32' },
  int32_list: { type: 'INT32', repeated: true },
  float64: { type: 'DOUBLE' },
  timestamp_us: { type: 'TIMESTAMP_MICROS' },
  bool: { type: 'BOOLEAN' },
  int64_list: { type: 'INT64', repeated: true },
  string_list: { type: 'UTF8', repeated: true },
}

async function byParquetjs(rows: readonly Cells[]): Promise<number> {
  const fields = COLUMNS.map(({ name, type, nullable }) => {
    const field = { ...PARQUETJS_TYPES[type], optional: nullable, compression: 'SNAPPY' }
    return [name, field] as const
  })
  let bytes = 0
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      bytes += chunk.length
      done()
    },
  })
  const schema = new parquetjs.ParquetSchema(Object.fromEntries(fields))
  const writer = await parquetjs.ParquetWriter.openStream(schema, stream)
  for (const row of rows) {
    await writer.appendRow(
      Object.fromEntries(COLUMNS.map(({ name }, i) => [name, row[i] ?? undefined])),
    )
  }
  await writer.close()
  return bytes
}

const HYPARQUET_TYPES: Readonly<Record<ColumnType, BasicType>> = {
  string: 'STRING',
  label: 'STRING',
  int64: 'INT64',
  int32: 'INT32',
  float64: 'DOUBLE',
  timestamp_us: 'INT64',
  bool: 'BOOLEAN',
  int32_list: 'JSON',
  int64_list: 'JSON',
  string_list: 'JSON',
}

function byHyparquet(rows: readonly Cells[]): number {
  const columnData = COLUMNS.map(({ name, type, nullable }, i) => {
    const isLong = HYPARQUET_TYPES[type] === 'INT64'
    const data = rows.map((row) => (isLong ? long(row[i]!) : row[i]))
    return { name, data, type: HYPARQUET_TYPES[type], nullable }
  })
  return parquetWriteBuffer({ columnData }).byteLength
}

function long(cell: Cell): bigint | null {
  return cell === null ? null : BigInt(cell as number)
}
