import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer'
import type { OtlpSettings } from './otlp-settings.ts'

/** What the endpoint said. */
export interface Answer {
  readonly status: number
  readonly body: Uint8Array
  readonly retryAfter: string | null
}

const BODY_MAX_BYTES = 64 * 1024
const QUOTE_CHARACTERS = 200
const WISH_MAX_MS = 300_000

/** One attempt. Rejects when there is no answer in time, or no connection. */
export async function postOtlp(settings: OtlpSettings, payload: Uint8Array): Promise<Answer> {
  const response = await fetch(settings.url, {
    method: 'POST',
    headers: {
      ...settings.headers,
      'content-type': 'application/x-protobuf',
      ...(settings.isGzip ? { 'content-encoding': 'gzip' } : {}),
    },
    // A redirected POST would arrive as a GET without a body.
    redirect: 'manual',
    body: payload,
    signal: AbortSignal.timeout(settings.timeoutMs),
  })
  const { status, headers } = response
  return { status, body: await readLimited(response), retryAfter: headers.get('retry-after') }
}

async function readLimited(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > BODY_MAX_BYTES) break
  }
  return Buffer.concat(chunks).subarray(0, BODY_MAX_BYTES)
}

/**
 * A Retry-After, seconds or a date, in milliseconds from now, five minutes at most; null when
 * there is none.
 */
export function wishedMs(retryAfter: string | null, nowMs: number): number | null {
  if (retryAfter === null) return null
  const seconds = Number(retryAfter)
  const wishMs = Number.isNaN(seconds) ? Date.parse(retryAfter) - nowMs : seconds * 1000
  return Number.isNaN(wishMs) ? null : Math.min(WISH_MAX_MS, Math.max(0, wishMs))
}

/** What an endpoint that accepted a request says about the points that it did not take. */
export function partialSuccess(body: Uint8Array): { rejected: number; message: string } {
  try {
    const partial = ProtobufMetricsSerializer.deserializeResponse(body).partialSuccess
    // Zero rejected with a message is a warning (OTLP specification, partial success).
    const rejected = Math.max(0, partial?.rejectedDataPoints ?? 0)
    return { rejected, message: partial?.errorMessage ?? '' }
  } catch {
    // Accepted, with an answer that is no protobuf: some endpoints say it in JSON or in words.
    return { rejected: 0, message: '' }
  }
}

/** An answer in a line of a log. */
export function said({ status, body }: Answer): string {
  const text = new TextDecoder().decode(body).slice(0, QUOTE_CHARACTERS).trim()
  return `status ${status}${text === '' ? '' : ` ${JSON.stringify(text)}`}`
}
