import { open } from 'node:fs/promises'
import { LensError } from '../core/errors.ts'

/** One output chunk as it was truly sent. */
export interface TrueChunk {
  /** Monotonic time since the request was received, stamped right before the write. */
  at_us: number
  tokens: number
}

/** What truly happened to one request: a line of the truth file, under the names of TokenEvents. */
export interface TruthRecord {
  request_id: string
  tenant: string
  /** Empty when the request was refused before it named one that exists. */
  model: string
  streamed: boolean
  /** Wall clock at which the request was received. */
  started_at_us: number
  /** `cancelled`: the client went away. `truncated`: the engine closed the connection. */
  status: 'ok' | 'error' | 'cancelled' | 'truncated'
  error_type: string
  finish_reason: string
  chunks: TrueChunk[]
  input_tokens: number
  output_tokens: number
  duration_us: number
}

export interface TruthFile {
  write(record: TruthRecord): void
  /** Waits for the last line; rejects if any line could not be written. */
  close(): Promise<void>
}

/** Opens a truth file for appending. Throws LensError configuration_invalid if it cannot. */
export async function openTruthFile(path: string): Promise<TruthFile> {
  const file = await open(path, 'a').catch((cause: Error) => {
    const message = `cannot write the truth to ${path}: ${cause.message}`
    throw new LensError('configuration_invalid', message, { cause })
  })
  const stream = file.createWriteStream()
  let failure: Error | null = null
  stream.on('error', (error) => {
    failure ??= error
  })
  return {
    write(record) {
      if (failure === null) stream.write(`${JSON.stringify(record)}\n`)
    },
    async close() {
      if (failure === null) await new Promise<void>((resolve) => stream.end(() => resolve()))
      if (failure !== null) throw failure
    },
  }
}
