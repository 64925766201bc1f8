import { tableFromIPC } from 'apache-arrow'
import { readParquet } from 'parquet-wasm'
import { type FileMetadata, METADATA_KEY } from './parquet.ts'

/** Which records a file of the lake was made from: the range, and the place of each row. */
export interface FileOrigin {
  readonly range: Omit<FileMetadata, 'schemaVersion'>
  /** The column kafka_offset, row by row. */
  readonly offsets: readonly number[]
}

/** Reads a Parquet file that toParquet wrote; throws on any other. */
export function readOrigin(bytes: Uint8Array): FileOrigin {
  const table = tableFromIPC(readParquet(bytes).intoIPCStream())
  const range = JSON.parse(table.schema.metadata.get(METADATA_KEY) ?? 'null')
  const column = table.getChild('kafka_offset')
  if (range === null || column === null) throw new Error('it is no file of ours')
  return { range, offsets: Array.from(column as Iterable<bigint>, Number) }
}
