import { setImmediate as turn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { chunksOf } from '../core/chunks.ts'
import { LensError } from '../core/errors.ts'
import { ARROW } from '../formats/arrow-format.ts'
import type { Cells } from '../formats/column.ts'
import { datasetNamed } from '../formats/datasets.ts'
import type { Asked, Made } from './parquet-worker.ts'
import type { EncodeFile } from './range-writer.ts'

interface Waiting {
  readonly give: (bytes: Uint8Array) => void
  readonly fail: (error: LensError) => void
}

/**
 * Makes Parquet in a thread of its own, which is begun when there is something to make, and anew
 * when it has ended; what it gets is made in turns. All of a large file takes seconds, in which
 * nobody would tell the group that this member lives.
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

  function made(file: Asked): Promise<Uint8Array> {
    const thread = worker ?? begin()
    worker = thread
    thread.ref()
    return new Promise((give, fail) => {
      asked.push({ give, fail })
      thread.postMessage(file, [file.stream.buffer])
    })
  }

  return async ({ dataset, rows }, range) => {
    const { version } = datasetNamed(dataset)
    const stream = await arrowOf(dataset, rows)
    return made({ stream, metadata: { dataset, schemaVersion: version, ...range } })
  }
}

/** Rows that become Arrow at a time: some milliseconds, between which others have their turn. */
const ROWS_A_TURN = 2_048

async function arrowOf(dataset: string, rows: readonly Cells[]): Promise<Asked['stream']> {
  const writer = ARROW.writer(datasetNamed(dataset))
  const parts: Uint8Array[] = []
  for (const some of chunksOf(rows, ROWS_A_TURN)) {
    parts.push(writer.add(some))
    await turn()
  }
  parts.push(writer.end())
  // A buffer of its own, which can be given away.
  const stream = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let end = 0
  for (const part of parts) {
    stream.set(part, end)
    end += part.length
  }
  return stream
}

function settle({ give, fail }: Waiting, made: Made): void {
  if (typeof made !== 'string') give(made)
  else fail(new LensError('store_unavailable', `cannot write Parquet: ${made}`))
}
