import { randomUUID } from 'node:crypto'
import { type Clock, momentNow, SYSTEM_CLOCK } from './clock.ts'
import type { Dialect } from './dialect/dialect.ts'
import { readRequest } from './dialect/reader.ts'
import { dialectOf } from './dialect/table.ts'
import { connectionErrorType } from './error-type.ts'
import { attemptOf } from './headers.ts'
import { SHARED_RUNS } from './runs.ts'
import { createTap, type Tap } from './tap.ts'
import { isAbort, labelsOf, publisherOf, type Target } from './target.ts'

export interface MeasuredFetchOptions extends Target {
  /** As everywhere, but `model` is only for calls that name none. */
  readonly labels: Target['labels']
  /** The fetch that does the work; by default Node's. */
  readonly fetch?: typeof fetch
  /** Whether the headers of a guard on the way are believed (phases.ts). */
  readonly guardHeaders?: boolean
  /** Counts what went wrong with the measuring, by reason. */
  readonly count?: (reason: string) => void
}

/** Bytes that are read ahead of the caller, so that times are the server's and not the caller's. */
const AHEAD_BYTES = 64 * 1024

/** Ends the requests whose answers nobody will read any more; fetch closes their connections. */
const LEFT = new FinalizationRegistry<() => void>((end) => end())

/**
 * A fetch that measures the calls whose dialect is known by their path, as the proxy does, and
 * passes all others on: for programs, and for clients that take one, as those of OpenAI and
 * Anthropic. Measuring never throws and changes nothing of the answer.
 */
export function measuredFetch(options: MeasuredFetchOptions): typeof fetch {
  const { clock = SYSTEM_CLOCK, runs = SHARED_RUNS, count = () => {} } = options
  const inner = options.fetch ?? fetch
  const { labels } = options
  const context = { model: labels.model ?? '', runs, publish: publisherOf(options), count }

  return async (input, init) => {
    const { method, path, headers, body } = requestOf(input, init)
    const dialect = dialectOf(method, path)
    if (dialect === null) return await inner(input, init)
    const sent = momentNow(clock)
    const tap = createTap(context, {
      dialect,
      labels: { ...labelsOf(labels), request_id: randomUUID(), model: '' },
      startedAtUs: sent.wallUs,
      attempt: attemptOf(Object.fromEntries(headers)),
    })
    noteAsked(tap, dialect, body, count)
    const elapsedUs = () => clock.monotonicUs() - sent.monotonicUs
    try {
      const response = await inner(input, init)
      if (options.guardHeaders) tap.told(Object.fromEntries(response.headers))
      return watched(response, tap, elapsedUs)
    } catch (error) {
      const [close, cause] = failureOf(error)
      tap.end(close, elapsedUs(), cause)
      throw error
    }
  }
}

function requestOf(input: string | URL | Request, init: RequestInit | undefined) {
  const request = input instanceof Request ? input : null
  return {
    method: (init?.method ?? request?.method ?? 'GET').toUpperCase(),
    path: URL.parse(request?.url ?? String(input))?.pathname ?? '',
    headers: new Headers(init?.headers ?? request?.headers),
    body: init?.body ?? null,
  }
}

/** Bodies of JSON are texts with every client; others stay unread, and the model the answer's. */
function noteAsked(
  tap: Tap,
  dialect: Dialect,
  body: unknown,
  count: (reason: string) => void,
): void {
  const asked = typeof body === 'string' ? readRequest(body, dialect) : null
  if (asked === null) count('request_not_json')
  else tap.asked(asked)
}

/** The same response, whose body is looked at as it passes. */
function watched(response: Response, tap: Tap, elapsedUs: Clock['monotonicUs']): Response {
  const { status, statusText, headers, url, redirected, type } = response
  // Fetch has undone the encoding already.
  tap.answered({ status, contentType: headers.get('content-type') ?? '', contentEncoding: '' })
  if (response.body === null) {
    tap.end('complete', elapsedUs(), '')
    return response
  }
  const body = passing(response.body.getReader(), tap, elapsedUs)
  LEFT.register(body, () => tap.end('cancelled', elapsedUs(), ''))
  const same = { url: { value: url }, redirected: { value: redirected }, type: { value: type } }
  return Object.defineProperties(new Response(body, { status, statusText, headers }), same)
}

function passing(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  tap: Tap,
  elapsedUs: Clock['monotonicUs'],
): ReadableStream<Uint8Array> {
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      try {
        const { done, value } = await reader.read()
        const readUs = elapsedUs()
        if (done) {
          tap.end('complete', readUs, '')
          controller.close()
          return
        }
        controller.enqueue(value)
        if (controller.desiredSize! <= 0) tap.flag('slow_client')
        tap.read(value, readUs)
      } catch (error) {
        const [close, cause] = failureOf(error)
        tap.end(close === 'failed' ? 'cut' : close, elapsedUs(), cause === 'timeout' ? cause : '')
        controller.error(error)
      }
    },
    async cancel(reason: unknown) {
      tap.end('cancelled', elapsedUs(), '')
      await reader.cancel(reason)
    },
  }
  return new ReadableStream(source, new ByteLengthQueuingStrategy({ highWaterMark: AHEAD_BYTES }))
}

/** How a call without an answer ended, and why. */
function failureOf(error: unknown): ['cancelled' | 'failed', string] {
  if (isAbort(error)) return ['cancelled', '']
  const { name, cause } = (error ?? {}) as { name?: unknown; cause?: unknown }
  return ['failed', name === 'TimeoutError' ? 'timeout' : connectionErrorType(cause ?? error)]
}
