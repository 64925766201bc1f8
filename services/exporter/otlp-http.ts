import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { partialSuccess } from '../formats/protobuf-otlp.ts'
import type { OtlpSettings } from './otlp-settings.ts'
import type { OtlpAnswer, OtlpTransport } from './otlp-transport.ts'

interface Answer {
  readonly status: number
  readonly body: Uint8Array
  readonly retryAfter: string | undefined
}

const BODY_MAX_BYTES = 64 * 1024
const QUOTE_CHARACTERS = 200

// OTLP/HTTP: these four may be repeated, and no other. Of the rest, some are about one request.
const RETRYABLE = new Set([429, 502, 503, 504])
const REQUEST_IS_WRONG = new Set([400, 413, 422, 500, 501])

const gzipped = promisify(gzip)

/** OTLP over HTTP, in protobuf. `nowMs` is for those who say until when to wait. */
export function createHttpTransport(settings: OtlpSettings, nowMs: () => number): OtlpTransport {
  const url = new URL(settings.url)
  const isTls = url.protocol === 'https:'
  const agent = isTls ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  const headers = {
    ...settings.headers,
    'content-type': 'application/x-protobuf',
    ...(settings.isGzip && { 'content-encoding': 'gzip' }),
  }

  async function post(body: Uint8Array): Promise<Answer> {
    const payload = settings.isGzip ? await gzipped(body) : body
    const signal = AbortSignal.timeout(settings.timeoutMs)
    const options = { method: 'POST', agent, signal, ...settings.tls }
    const length = { 'content-length': payload.length }
    const request = (isTls ? requestHttps : requestHttp)(url, {
      ...options,
      headers: { ...headers, ...length },
    })
    const answered = Promise.withResolvers<IncomingMessage>()
    request.on('response', answered.resolve).on('error', answered.reject)
    request.end(payload)
    const response = await answered.promise
    const retryAfter = response.headers['retry-after']
    return { status: response.statusCode!, body: await readLimited(response), retryAfter }
  }

  return {
    url: settings.url,
    async post(body) {
      try {
        return meaningOf(await post(body), nowMs())
      } catch (error) {
        const { name, message, code } = error as NodeJS.ErrnoException
        const why = name === 'AbortError' ? `no answer in ${settings.timeoutMs} ms` : message
        return { is: 'busy', message: why || (code ?? name), waitMs: null }
      }
    },
    close: () => agent.destroy(),
  }
}

function meaningOf(answer: Answer, nowMs: number): OtlpAnswer {
  const { status, body, retryAfter } = answer
  if (status >= 200 && status < 300) return { is: 'taken', ...partialSuccess(body) }
  const message = said(answer)
  if (RETRYABLE.has(status)) return { is: 'busy', message, waitMs: wishedMs(retryAfter, nowMs) }
  return { is: REQUEST_IS_WRONG.has(status) ? 'wrong' : 'refused', message }
}

async function readLimited(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > BODY_MAX_BYTES) break
  }
  return Buffer.concat(chunks).subarray(0, BODY_MAX_BYTES)
}

/** A Retry-After, seconds or a date, in milliseconds from now; null when there is none. */
function wishedMs(retryAfter: string | undefined, nowMs: number): number | null {
  if (retryAfter === undefined) return null
  const seconds = Number(retryAfter)
  const wishMs = Number.isNaN(seconds) ? Date.parse(retryAfter) - nowMs : seconds * 1000
  return Number.isNaN(wishMs) ? null : Math.max(0, wishMs)
}

/** An answer in a line of a log. */
function said({ status, body }: Answer): string {
  const text = new TextDecoder().decode(body).slice(0, QUOTE_CHARACTERS).trim()
  return `status ${status}${text === '' ? '' : ` ${JSON.stringify(text)}`}`
}
