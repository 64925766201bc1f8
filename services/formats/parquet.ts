import { type Table, tableFromIPC } from 'apache-arrow'
import {
  Compression,
  EnabledStatistics,
  Encoding,
  readParquet,
  Table as WasmTable,
  WriterPropertiesBuilder,
  writeParquet,
} from 'parquet-wasm'
import type { Column, ColumnType } from './column.ts'

/** What a file says about itself: what it holds, and which range of which log it covers. */
export interface FileMetadata {
  readonly dataset: string
  readonly schemaVersion: number
  readonly topic: string
  readonly partition: number
  /** First offset of the range. */
  readonly from: number
  /** Offset after the last of the range. */
  readonly to: number
  /** What a compacted file was made of: then it has no range of its own. */
  readonly sources?: readonly RowSource[]
}

/** The rows that a file has of the records [from, to) of a partition. */
export interface RowSource {
  readonly partition: number
  readonly from: number
  readonly to: number
  readonly rows: number
}

/** The range of a file that is of none. */
export const NO_RANGE = { partition: -1, from: 0, to: 0 }

/** The metadata's key in the file. */
export const METADATA_KEY = 'latency_lens'

/** `created_by` of our files, in the form that readers parse. */
export const WRITER = 'llm-latency-lens version 1 (build parquet-wasm-0.8.0)'

const ROW_GROUP_ROWS = 128 * 1024

/**
 * A Parquet file of what toArrowStream wrote: ZSTD, page statistics, dictionaries of labels only.
 * The same stream and metadata give the same bytes in every process, so that a repeated upload
 * changes nothing. The metadata is one JSON text under one key, since the writer takes the keys out
 * of a hash map, in another order each time.
 */
export function toParquet(
  stream: Uint8Array,
  columns: readonly Column[],
  { dataset, schemaVersion, topic, partition, from, to, sources }: FileMetadata,
): Uint8Array {
  const place = { dataset, schemaVersion, topic, partition, from, to }
  const text = JSON.stringify({ ...place, sources, writer: WRITER })
  // The Node build of parquet-wasm has loaded its module when the import returns. Each call below
  // takes its arguments over, so that nothing is left to free when writeParquet returns or throws.
  const wasmTable = WasmTable.fromIPCStream(stream)
  const builder = new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setStatisticsEnabled(EnabledStatistics.Page)
    .setMaxRowGroupSize(ROW_GROUP_ROWS)
    .setCreatedBy(WRITER)
    .setKeyValueMetadata(new Map([[METADATA_KEY, text]]))
  return writeParquet(wasmTable, withEncodings(builder, columns).build())
}

/** A Parquet file as an Arrow IPC stream; throws on anything else. */
export function parquetStream(bytes: Uint8Array): Uint8Array {
  return readParquet(bytes).intoIPCStream()
}

/** The same as a table. */
export function parquetTable(bytes: Uint8Array): Table {
  return tableFromIPC(parquetStream(bytes))
}

/** The builder takes itself over with each call. */
function withEncodings(builder: WriterPropertiesBuilder, columns: readonly Column[]) {
  return columns.reduce((all, { name, type }) => {
    const encoding = ENCODINGS[type]
    if (encoding === undefined) return all
    return all.setColumnDictionaryEnabled(name, false).setColumnEncoding(name, encoding)
  }, builder)
}

/**
 * Of columns whose values are nearly all different, for which a dictionary only costs: times and
 * offsets lie close together, durations are small.
 */
const ENCODINGS: Readonly<Partial<Record<ColumnType, Encoding>>> = {
  int64: Encoding.DELTA_BINARY_PACKED,
  timestamp_us: Encoding.DELTA_BINARY_PACKED,
  string: Encoding.PLAIN,
  float64: Encoding.PLAIN,
}
