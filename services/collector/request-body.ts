import type { IncomingMessage } from 'node:http'
import { createBoundedBytes } from './bounded-bytes.ts'
import type { Dialect } from './dialect/dialect.ts'
import { type AskedFor, readRequest } from './dialect/reader.ts'

/** Of a longer request the model stays unknown. */
const BODY_BYTES_MAX = 4 << 20

/** Reads what a request asks for as its body passes; the body itself is let go at its end. */
export function watchRequest(
  request: IncomingMessage,
  dialect: Dialect,
  onAsked: (asked: AskedFor) => void,
  count: (reason: string) => void,
): void {
  const body = createBoundedBytes(BODY_BYTES_MAX)
  request.on('data', body.push)
  request.on('close', body.drop)
  request.on('end', () => {
    const text = body.text()
    if (text === null) return count('request_too_long')
    const asked = readRequest(text, dialect)
    if (asked === null) count('request_not_json')
    else onAsked(asked)
  })
}
