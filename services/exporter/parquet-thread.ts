import { Worker } from 'node:worker_threads'
import { LensError } from '../core/errors.ts'
import { toArrow, toArrowStream } from '../formats/arrow.ts'
import { datasetNamed } from '../formats/datasets.ts'
import type { FileMetadata } from '../formats/parquet.ts'
import type { Asked, Made } from './parquet-worker.ts'
import type { EncodeFile } from './range-writer.ts'

interface Waiting {
  readonly give: (bytes: Uint8Array) => void
  readonly fail: (error: LensError) => void
}

/**
 * Makes Parquet in a thread of its own, which is begun when there is something to make, and anew
 * when it has ended: compressing a large file takes seconds, in which nobody would tell the group
 * that this member lives.
 */
export function createParquetThread(): EncodeFile {
  let worker: Worker | null = null
  const asked: Waiting[] = []

  function begin(): Worker {
    const begun = new Worker(new URL('parquet-worker.ts', import.meta.url))
    const end = (why: string) => {
      if (worker !== begun) return
      worker = null
      const message = `the thread that writes Parquet has ended: ${why}`
      const error = new LensError('store_unavailable', message, { retryable: true })
      for (const { fail } of asked.splice(0)) fail(error)
    }
    begun.on('message', (made: Made) => {
      settle(asked.shift()!, made)
      // Idle, it does not keep a process alive that has nothing else to do.
      if (asked.length === 0) begun.unref()
    })
    begun.on('error', (error) => end((error as Error).message))
    begun.on('exit', (code) => end(`exit ${code}`))
    return begun
  }

  return ({ dataset, rows }, range) => {
    const { columns, version } = datasetNamed(dataset)
    const stream = toArrowStream(toArrow(columns, rows)) as Asked['stream']
    const metadata: FileMetadata = { dataset, schemaVersion: version, ...range }
    const thread = worker ?? begin()
    worker = thread
    thread.ref()
    return new Promise((give, fail) => {
      asked.push({ give, fail })
      thread.postMessage({ stream, metadata } satisfies Asked, [stream.buffer])
    })
  }
}

function settle({ give, fail }: Waiting, made: Made): void {
  if (typeof made !== 'string') give(made)
  else fail(new LensError('store_unavailable', `cannot write Parquet: ${made}`))
}
