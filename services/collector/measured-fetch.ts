import { randomUUID } from 'node:crypto'
import { type Clock, momentNow, SYSTEM_CLOCK } from './clock.ts'
import type { Dialect } from './dialect/dialect.ts'
import { readRequest } from './dialect/reader.ts'
import { dialectOf } from './dialect/table.ts'
import { connectionErrorType } from './error-type.ts'
import { attemptOf } from './headers.ts'
import { SHARED_RUNS } from './runs.ts'
import { createTap, type Tap } from './tap.ts'
import { harmless, isAbort, labelsOf, publisherOf, type Target } from './target.ts'

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
/** Of a longer request the model stays that of the answer. */
const REQUEST_LENGTH_MAX = 4 << 20

/** One measured call. */
interface Call {
  readonly tap: Tap
  readonly signal: AbortSignal | null
  readonly elapsedUs: Clock['monotonicUs']
  /** Tells the tap what was asked for, if that has not been done. */
  readonly ask: () => void
}

/**
 * A fetch that measures the calls whose dialect is known by their path, as the proxy does, and
 * passes all others on: for programs, and for clients that take one, as those of OpenAI and
 * Anthropic. The answer is the same, but that its body is read ahead. Measuring never throws.
 */
export function measuredFetch(options: MeasuredFetchOptions): typeof fetch {
  const { clock = SYSTEM_CLOCK, runs = SHARED_RUNS, labels } = options
  const inner = options.fetch ?? fetch
  const count = harmless(options.count ?? (() => {}))
  const context = { model: labels.model ?? '', runs, publish: publisherOf(options), count }

  function open(dialect: Dialect, headers: Headers, init: RequestInit, request: Request | null) {
    const sent = momentNow(clock)
    const tap = createTap(context, {
      dialect,
      labels: { ...labelsOf(labels), request_id: randomUUID(), model: '' },
      startedAtUs: sent.wallUs,
      attempt: attemptOf(Object.fromEntries(headers)),
    })
    return {
      tap,
      signal: init.signal ?? request?.signal ?? null,
      elapsedUs: () => clock.monotonicUs() - sent.monotonicUs,
      ask: once(() => noteAsked(tap, dialect, init.body, count)),
    }
  }

  return async (input, init) => {
    const request = input instanceof Request ? input : null
    const method = (init?.method ?? request?.method ?? 'GET').toUpperCase()
    const path = URL.parse(request?.url ?? String(input))?.pathname ?? ''
    const dialect = dialectOf(method, path)
    if (dialect === null) return await inner(input, init)
    // What they come from may be read only once.
    const headers = new Headers(init?.headers ?? request?.headers)
    const call = open(dialect, headers, init ?? {}, request)
    try {
      const answering = inner(input, { ...init, headers })
      // Reading what is asked for must not hold up the asking.
      setImmediate(call.ask)
      const response = await answering
      call.ask()
      if (options.guardHeaders) call.tap.told(Object.fromEntries(response.headers))
      return watched(response, call)
    } catch (error) {
      call.ask()
      const [close, cause] = failureOf(error, call.signal)
      call.tap.end(close, call.elapsedUs(), cause)
      throw error
    }
  }
}

/** Bodies of JSON are texts with every client; others stay unread, and the model the answer's. */
function noteAsked(
  tap: Tap,
  dialect: Dialect,
  body: unknown,
  count: (reason: string) => void,
): void {
  const isText = typeof body === 'string'
  const isTooLong = isText && body.length > REQUEST_LENGTH_MAX
  const asked = isText && !isTooLong ? readRequest(body, dialect) : null
  if (asked !== null) tap.asked(asked)
  else count(isTooLong ? 'request_too_long' : 'request_not_json')
}

/** Ends the requests whose answers nobody will read any more, and their connections. */
const LEFT = new FinalizationRegistry<() => void>((end) => end())

/** The same response, whose body is looked at as it passes. */
function watched(response: Response, call: Call): Response {
  const { status, headers } = response
  // Fetch has undone the encoding already.
  const contentType = headers.get('content-type') ?? ''
  call.tap.answered({ status, contentType, contentEncoding: '' })
  // A response with such a status, which servers may send, can not be made.
  if (response.body === null || status < 200 || status > 599) {
    call.tap.end('complete', call.elapsedUs(), '')
    return response
  }
  const reader = response.body.getReader()
  const body = passing(reader, call)
  LEFT.register(body, () => {
    call.tap.end('cancelled', call.elapsedUs(), '')
    reader.cancel().catch(() => {})
  })
  const { statusText } = response
  return likeFirst(new Response(body, { status, statusText, headers }), response)
}

/** Gives a response, and its clones, what only fetch can give. */
function likeFirst(response: Response, { url, redirected, type }: Response): Response {
  return Object.defineProperties(response, {
    url: { value: url },
    redirected: { value: redirected },
    type: { value: type },
    clone: { value: () => likeFirst(Response.prototype.clone.call(response), response) },
  })
}

function passing(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { tap, signal, elapsedUs }: Call,
): ReadableStream<Uint8Array> {
  let abort = () => {}
  const forget = () => signal?.removeEventListener('abort', abort)
  return new ReadableStream(
    {
      type: 'bytes',
      start(controller) {
        abort = () => {
          const [close, cause] = failureOf(signal!.reason, signal)
          tap.end(close === 'failed' ? 'cut' : close, elapsedUs(), cause)
          controller.error(signal!.reason)
        }
        signal?.addEventListener('abort', abort, { once: true })
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          const readUs = elapsedUs()
          if (done) {
            tap.end('complete', readUs, '')
            // Of what waits for the caller nothing is to be read after an abort.
            if (controller.desiredSize === AHEAD_BYTES) forget()
            controller.close()
            controller.byobRequest?.respond(0)
            return
          }
          tap.read(value, readUs)
          // What is handed on is taken from us, and the tap may keep it for the end.
          controller.enqueue(value.slice())
          if (controller.desiredSize! <= 0) tap.flag('slow_client')
        } catch (error) {
          const [close, cause] = failureOf(error, signal)
          tap.end(close === 'failed' ? 'cut' : close, elapsedUs(), cause === 'timeout' ? cause : '')
          forget()
          controller.error(error)
        }
      },
      async cancel(reason) {
        tap.end('cancelled', elapsedUs(), '')
        forget()
        await reader.cancel(reason)
      },
    },
    { highWaterMark: AHEAD_BYTES },
  )
}

/** How a call ended that threw, and why. A caller may abort with any reason. */
function failureOf(error: unknown, signal: AbortSignal | null): ['cancelled' | 'failed', string] {
  const { name, cause } = (error ?? {}) as { name?: unknown; cause?: unknown }
  if (name === 'TimeoutError') return ['failed', 'timeout']
  if (signal?.aborted || isAbort(error)) return ['cancelled', '']
  return ['failed', connectionErrorType(cause ?? error)]
}

function once(step: () => void): () => void {
  let done = false
  return () => {
    if (!done) step()
    done = true
  }
}
