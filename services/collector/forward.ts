import http, {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import https from 'node:https'
import type { Clock, Moment, Timers } from './clock.ts'
import { connectionErrorType } from './error-type.ts'
import { responseHeaders } from './headers.ts'
import { refuse } from './refuse.ts'
import type { Route } from './routes.ts'
import type { Tap } from './tap.ts'
import type { Close } from './verdict.ts'
import { writeBody } from './write-body.ts'

export interface ForwardContext {
  readonly connectTimeoutMs: number
  /** The longest silence: before the answer, and between two reads of it. */
  readonly idleTimeoutMs: number
  /** Headers and trailers for us alone, by their names in lower case. */
  readonly isOurs: (name: string) => boolean
  readonly clock: Clock
  readonly timers: Timers
}

/** One call on its way through. */
export interface Passage {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly route: Route
  /** The headers to send, as name, value, name, value. */
  readonly headers: readonly string[]
  readonly sent: Moment
  /** Null for a call that is not measured. */
  readonly tap: Tap | null
}

/** Passes one call on and its answer back, byte for byte. Returns a function that breaks it off. */
export function forward(context: ForwardContext, passage: Passage): (cause: string) => void {
  const { clock, timers, isOurs } = context
  const { request, response, tap, sent } = passage
  const elapsedUs = () => clock.monotonicUs() - sent.monotonicUs
  const call = openCall(context, passage)
  let answer: IncomingMessage | null = null
  let cause = ''
  let over = false

  function finish(close: Close): void {
    if (over) return
    over = true
    tap?.end(close, elapsedUs(), cause)
  }

  function breakOff(reason: string): void {
    cause = reason
    finish('cancelled')
    call.destroy()
    response.destroy()
  }

  call.on('response', (incoming) => {
    answer = incoming
    passBody(incoming, response, tap, elapsedUs)
    incoming.on('end', () => {
      tell(tap, incoming.trailers, isOurs)
      finish('complete')
      response.end()
    })
    incoming.on('close', () => {
      if (over) return
      finish('cut')
      // Sends what has come so far and then closes, so that the client sees the same torn answer.
      if (response.socket) response.socket.destroySoon()
      else response.destroy()
    })
    try {
      passHead(incoming, response, isOurs)
    } catch {
      // A head that Node reads but would not write.
      cause = 'bad_answer'
      finish('failed')
      refuse(response, 502, cause, 'The head of the upstream’s answer cannot be passed on.')
      call.destroy()
      return
    }
    const { statusCode: status = 502, headers } = incoming
    const contentType = headers['content-type'] ?? ''
    tap?.answered({ status, contentType, contentEncoding: headers['content-encoding'] ?? '' })
    tell(tap, headers, isOurs)
  })
  call.on('timeout', () => {
    // A client that reads nothing makes the upstream silent.
    if (answer?.isPaused()) return breakOff('client_stalled')
    cause = 'timeout'
    call.destroy(timedOut())
  })
  call.on('error', (error) => {
    // With an answer, its close tells what happened; after the end nobody asks.
    if (answer !== null || over) return
    cause = connectionErrorType(error)
    finish('failed')
    refuse(response, 502, cause, 'The upstream did not answer.')
  })
  response.on('close', () => {
    finish('cancelled')
    call.destroy()
  })
  limitConnect(call, timers, context.connectTimeoutMs)
  request.pipe(call)
  // An upstream that is gone reads no body, but the client must be able to send it to the end.
  call.on('close', () => request.resume())
  return breakOff
}

function openCall({ idleTimeoutMs }: ForwardContext, passage: Passage): ClientRequest {
  const { request, route, headers } = passage
  const { url, agent } = route
  return (url.protocol === 'https:' ? https : http).request({
    hostname: url.hostname.replaceAll(/[[\]]/g, ''),
    port: url.port,
    path: route.path(request.url!),
    method: request.method,
    headers,
    agent,
    timeout: idleTimeoutMs,
  })
}

function passHead(
  incoming: IncomingMessage,
  response: ServerResponse,
  isOurs: ForwardContext['isOurs'],
): void {
  const { statusCode: status = 502, statusMessage = '', rawHeaders } = incoming
  // Date is the upstream's or nobody's.
  response.sendDate = false
  response.writeHead(status, statusMessage, responseHeaders(rawHeaders, isOurs))
  // The client sees the status when the engine sends it, not with the first token.
  response.flushHeaders()
}

/** A guard on the way knows what it took at the end of the answer, in a trailer. */
function tell(
  tap: Tap | null,
  headers: IncomingHttpHeaders,
  isOurs: ForwardContext['isOurs'],
): void {
  if (tap !== null && Object.keys(headers).some(isOurs)) tap.told(headers)
}

function passBody(
  incoming: IncomingMessage,
  response: ServerResponse,
  tap: Tap | null,
  elapsedUs: () => number,
): void {
  incoming.on('data', (bytes: Buffer) => {
    // First of all the time; then the client gets its bytes; then they are looked at.
    const readUs = elapsedUs()
    const full = writeBody(response, bytes)
    if (full !== null) {
      // From here on the reads come when the client allows it, not when the engine sends.
      tap?.flag('slow_client')
      incoming.pause()
      full.once('drain', () => incoming.resume())
    }
    tap?.read(bytes, readUs)
  })
  // The close that follows an error tells all that is needed; unheard, the error would be thrown.
  incoming.on('error', () => {})
}

function limitConnect(call: ClientRequest, timers: Timers, connectTimeoutMs: number): void {
  call.on('socket', (socket) => {
    if (!socket.connecting) return
    const cancel = timers.after(connectTimeoutMs, () => call.destroy(timedOut()))
    socket.once('connect', cancel)
    call.once('close', cancel)
  })
}

function timedOut(): Error {
  return Object.assign(new Error('the upstream was silent for too long'), { code: 'ETIMEDOUT' })
}
