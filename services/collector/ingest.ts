import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listen } from '../bus/listen.ts'
import { LensError } from '../core/errors.ts'
import { SYSTEM_TIMERS } from './clock.ts'
import type { Refusal } from './ingest-body.ts'
import { createTaker, spansFormOf, type TakerOptions } from './ingest-taker.ts'
import { type OtlpForm, writeTraceAnswer, writeTraceFault } from './otlp-trace.ts'
import { refuse } from './refuse.ts'

export interface IngestOptions extends TakerOptions {
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
}

export interface IngestStats {
  /** Records that were taken; requests that were not, by HTTP status, and each span as one. */
  readonly accepted: number
  readonly refused: Readonly<Record<string, number>>
}

export interface Ingest {
  readonly url: string
  stats(): IngestStats
  stop(): Promise<void>
}

const REQUEST_MS = 10_000
const CONNECTIONS_MAX = 1_000
/** Requests that are under way at the stop get so long. */
const STOP_MS = 1_000

/**
 * Takes records over HTTP from programs in other languages: all of a request or none of it; and the
 * spans of OpenTelemetry. Throws LensError configuration_invalid when it cannot listen.
 */
export async function startIngest(options: IngestOptions): Promise<Ingest> {
  const take = createTaker(options)
  const counts = { accepted: 0, refused: {} as Record<string, number> }

  function countRefused(status: number, times: number): void {
    if (times > 0) counts.refused[status] = (counts.refused[status] ?? 0) + times
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const outcome = await take(request).catch((error: unknown) => refusalOf(error, request))
    if ('status' in outcome) {
      countRefused(outcome.status, 1)
      refuseAs(request, response, outcome)
      return
    }
    const { accepted, faults } = outcome
    counts.accepted += accepted
    countRefused(400, faults.length)
    const form = spansFormOf(request)
    if (form) answer(response, 200, form, writeTraceAnswer(form, faults))
    else answer(response, 202, 'json', `{"accepted":${accepted}}\n`)
  }

  const limits = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }
  const server = createServer({ ...limits, connectionsCheckingInterval: 1_000 }, handle)
  server.maxConnections = CONNECTIONS_MAX
  const url = await listen(server, options.host, options.port)
  return {
    url,
    stats: () => ({ accepted: counts.accepted, refused: { ...counts.refused } }),
    async stop() {
      const closed = once(server, 'close')
      server.close()
      const cancel = SYSTEM_TIMERS.after(STOP_MS, () => server.closeAllConnections())
      await closed
      cancel()
    },
  }
}

/** In the form that the sender reads: an exporter's is the one that it sends. */
function refuseAs(
  request: IncomingMessage,
  response: ServerResponse,
  { status, code, message }: Refusal,
): void {
  if (status === 503) response.setHeader('retry-after', '1')
  // A body that was not read is not read to its end either.
  response.shouldKeepAlive = false
  const form = spansFormOf(request)
  if (form) answer(response, status, form, writeTraceFault(form, message))
  else refuse(response, status, code, message)
}

function answer(
  response: ServerResponse,
  status: number,
  form: OtlpForm,
  body: string | Uint8Array,
): void {
  const type = form === 'json' ? 'application/json' : 'application/x-protobuf'
  response.writeHead(status, { 'content-type': type })
  response.end(body)
}

function refusalOf(error: unknown, request: IncomingMessage): Refusal {
  if (error instanceof LensError) {
    const message = 'The schema registry does not answer; send it again.'
    return { status: 503, code: error.code, message }
  }
  if (!request.complete) {
    return { status: 400, code: 'broken_off', message: 'The body did not come whole.' }
  }
  return { status: 500, code: 'failed', message: 'The records could not be read: a bug of ours.' }
}
