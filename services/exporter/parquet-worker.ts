/** The thread that makes Parquet: an Arrow stream in, the bytes of a file out. */
import { parentPort } from 'node:worker_threads'
import { datasetNamed } from '../formats/datasets.ts'
import { type FileMetadata, toParquet } from '../formats/parquet.ts'

export interface Asked {
  readonly stream: Uint8Array<ArrayBuffer>
  readonly metadata: FileMetadata
}

/** Or why there is none. */
export type Made = Uint8Array<ArrayBuffer> | string

const port = parentPort!
port.on('message', ({ stream, metadata }: Asked) => {
  const made = make(stream, metadata)
  port.postMessage(made, typeof made === 'string' ? [] : [made.buffer])
})

function make(stream: Uint8Array, metadata: FileMetadata): Made {
  try {
    const { columns } = datasetNamed(metadata.dataset)
    // A view of the module's memory cannot be given away.
    return Uint8Array.from(toParquet(stream, columns, metadata))
  } catch (error) {
    return String(error)
  }
}
