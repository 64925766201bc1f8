import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import avro from 'avsc'

/** An Avro object container: rows behind a header with a schema and more. */
export interface AvroFile {
  readonly schema: object
  readonly metadata: Readonly<Record<string, string>>
  readonly rows: readonly unknown[]
}

/** The bytes of a container, uncompressed; the schema stands in it with all of its attributes. */
export async function writeAvroFile({ schema, metadata, rows }: AvroFile): Promise<Uint8Array> {
  const entries = Object.entries(metadata).map(([key, text]) => [key, Buffer.from(text)])
  const encoder = new avro.streams.BlockEncoder(
    schema as avro.Schema,
    {
      metadata: Object.fromEntries(entries),
      writeHeader: 'always',
    } as object,
  )
  const bytes = buffer(encoder)
  for (const row of rows) encoder.write(row)
  encoder.end()
  return bytes
}

/** The rows of a container; rejects on anything else. */
export async function readAvroFile<T>(bytes: Uint8Array): Promise<T[]> {
  const decoder = new avro.streams.BlockDecoder()
  const rows: T[] = []
  decoder.on('data', (row: T) => rows.push(row))
  Readable.from([Buffer.from(bytes)])
    .on('error', () => {})
    .pipe(decoder)
  await once(decoder, 'end')
  return rows
}
