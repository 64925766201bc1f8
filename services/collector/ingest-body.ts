import type { IncomingMessage } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { createBoundedBytes } from './bounded-bytes.ts'

/** Why nothing of a request was taken. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

export interface BodyRules {
  /** As it comes, and unpacked. */
  readonly bytesMax: number
  /** Whether it may be packed, with gzip. */
  readonly mayBePacked: boolean
}

/** Also what is too long is read to its end: who still sends would hear no answer. */
export async function bodyOf(
  request: IncomingMessage,
  { bytesMax, mayBePacked }: BodyRules,
): Promise<Buffer | Refusal> {
  const { 'content-encoding': given = 'identity' } = request.headers
  const coding = given.toLowerCase()
  const isPacked = coding === 'gzip' && mayBePacked
  if (!isPacked && coding !== 'identity') {
    const message = `Send the body uncompressed${mayBePacked ? ', or as gzip' : ''}.`
    return { status: 415, code: 'bad_encoding', message }
  }
  const body = createBoundedBytes(bytesMax)
  let length = 0
  try {
    for await (const bytes of request) {
      length += bytes.length
      body.push(bytes)
    }
    if (length > bytesMax) return tooLarge(bytesMax)
    const whole = body.whole()
    const busy = 'Too many bodies are being read; send it again.'
    if (!whole) return { status: 503, code: 'busy', message: busy }
    return isPacked ? unpacked(whole, bytesMax) : whole
  } finally {
    body.drop()
  }
}

function unpacked(bytes: Buffer, bytesMax: number): Buffer | Refusal {
  try {
    return gunzipSync(bytes, { maxOutputLength: bytesMax })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(bytesMax)
    return { status: 400, code: 'bad_encoding', message: 'The body is no gzip.' }
  }
}

function tooLarge(bytesMax: number): Refusal {
  const message = `A body may have ${bytesMax >> 20} MiB.`
  return { status: 413, code: 'too_large', message }
}
