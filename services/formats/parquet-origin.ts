import { type FileMetadata, METADATA_KEY, parquetTable } from './parquet.ts'

/** Which records a file of the lake was made from: what it says of itself, and of each row. */
export interface FileOrigin {
  readonly range: Omit<FileMetadata, 'schemaVersion'>
  /** The column kafka_partition, row by row. */
  readonly partitions: readonly number[]
  /** The column kafka_offset, row by row. */
  readonly offsets: readonly number[]
}

/** Reads a Parquet file that toParquet wrote; throws on any other. */
export function readOrigin(bytes: Uint8Array): FileOrigin {
  const table = parquetTable(bytes)
  const range = JSON.parse(table.schema.metadata.get(METADATA_KEY) ?? 'null')
  const partitions = table.getChild('kafka_partition')
  const offsets = table.getChild('kafka_offset')
  if (range === null || !partitions || !offsets) throw new Error('it is no file of ours')
  return {
    range,
    partitions: Array.from(partitions as Iterable<number>),
    offsets: Array.from(offsets as Iterable<bigint>, Number),
  }
}
