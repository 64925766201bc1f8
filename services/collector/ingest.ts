import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { Codec } from '../bus/codec.ts'
import { createSampleDecoder } from '../bus/sample-decoder.ts'
import { createTokenRunDecoder } from '../bus/token-run-decoder.ts'
import { DEAD_LETTER_DETAILS, type DeadLetterReason } from '../core/dead-letter.ts'
import { LensError } from '../core/errors.ts'
import { createBoundedBytes } from './bounded-bytes.ts'
import { SYSTEM_TIMERS } from './clock.ts'
import {
  createIngestReader,
  type IngestFault,
  type IngestReading,
  type IngestRecord,
} from './ingest-reader.ts'
import { sizeOf } from './lanes.ts'
import { listen } from './listen.ts'
import type { Queue } from './queue.ts'
import { refuse } from './refuse.ts'

export interface IngestOptions {
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
  readonly codec: Codec
  readonly queue: Queue
  /** Of one body. */
  readonly recordsMax: number
  readonly nowMs: () => number
}

export interface IngestStats {
  /** Records that were taken, and requests that were not, by HTTP status. */
  readonly accepted: number
  readonly refused: Readonly<Record<string, number>>
}

export interface Ingest {
  readonly url: string
  stats(): IngestStats
  stop(): Promise<void>
}

interface Encoded {
  readonly key: string
  readonly value: Uint8Array
}

/** Small enough that reading it holds up no stream of a proxy in this process for long. */
const BODY_BYTES_MAX = 1 << 20
const REQUEST_MS = 10_000
const CONNECTIONS_MAX = 1_000
/** Requests that are under way at the stop get so long. */
const STOP_MS = 1_000
/** As in windowing, which would make a dead letter of it. */
const FUTURE_MS = 60_000

/** The topic of a path, and the field that is its key. */
const PATHS: Readonly<Record<string, { readonly topic: string; readonly key: string }>> = {
  '/v1/token-events': { topic: TOKEN_EVENTS, key: 'request_id' },
  '/v1/resource-samples': { topic: RESOURCE_SAMPLES, key: 'endpoint' },
}

/** How many records were taken, or why none. */
type Outcome = number | Refusal

interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

/**
 * Takes records over HTTP from programs in other languages: all of a request or none of it.
 * Throws LensError configuration_invalid when it cannot listen.
 */
export async function startIngest(options: IngestOptions): Promise<Ingest> {
  const take = createTaker(options)
  const counts = { accepted: 0, refused: {} as Record<string, number> }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const outcome = await take(request).catch((error: unknown) => refusalOf(error, request))
    if (typeof outcome === 'number') {
      counts.accepted += outcome
      response.writeHead(202, { 'content-type': 'application/json' })
      response.end(`{"accepted":${outcome}}\n`)
      return
    }
    const { status, code, message } = outcome
    counts.refused[status] = (counts.refused[status] ?? 0) + 1
    if (status === 503) response.setHeader('retry-after', '1')
    // A body that was not read is not read to its end either.
    response.shouldKeepAlive = false
    refuse(response, status, code, message)
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

/** Reads a request, and puts its records into the queue when all of them are good and have room. */
function createTaker(options: IngestOptions): (request: IncomingMessage) => Promise<Outcome> {
  const { codec, queue, recordsMax, nowMs } = options
  // What the consumers of the topics would make a dead letter of is refused here.
  const checks = new Map([
    [TOKEN_EVENTS, createTokenRunDecoder(codec, TOKEN_EVENTS, FUTURE_MS)],
    [RESOURCE_SAMPLES, createSampleDecoder(codec, RESOURCE_SAMPLES, FUTURE_MS)],
  ])
  const reader = createIngestReader(recordsMax)

  /** A body that is one record, as it is in the topic. */
  async function avroRecord(topic: string, body: Buffer): Promise<IngestReading> {
    await codec.prepare(topic, [body])
    const { value, bad } = codec.decoder(topic)(body, nowMs())
    if (bad !== null) return { records: [], fault: faultOf(0, bad) }
    return { records: [value as IngestRecord], fault: null }
  }

  function firstFault(topic: string, records: readonly Encoded[]): IngestFault | null {
    for (const [i, { value }] of records.entries()) {
      const { bad } = checks.get(topic)!(value, nowMs())
      if (bad !== null) return faultOf(i, bad)
    }
    return null
  }

  return async (request) => {
    const path = PATHS[request.url!.split('?', 1)[0]!]
    if (!path) {
      const message = `Send records to POST ${Object.keys(PATHS).join(' or ')}.`
      return { status: 404, code: 'not_found', message }
    }
    const { topic } = path
    if (request.method !== 'POST') return { status: 405, code: 'bad_method', message: 'Use POST.' }
    const { 'content-encoding': coding = 'identity' } = request.headers
    if (coding.toLowerCase() !== 'identity') {
      return { status: 415, code: 'bad_encoding', message: 'Send the body uncompressed.' }
    }
    const body = await bodyOf(request)
    if ('status' in body) return body
    const type = (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()
    const isAvro = type === 'application/avro'
    const { records, fault } = isAvro
      ? await avroRecord(topic, body)
      : reader(topic, type, body.toString('utf8'))
    if (fault !== null) return fault
    const encoded = records.map((record) => ({
      key: String(record[path.key]),
      value: isAvro ? body : codec.encode(topic, record),
    }))
    const bad = firstFault(topic, encoded)
    if (bad !== null) return bad
    const bytes = encoded.reduce((sum, one) => sum + sizeOf(one), 0)
    if (!queue.hasRoom(encoded.length, bytes)) {
      const message = 'Too many records wait for Kafka; send them again.'
      return { status: 503, code: 'queue_full', message }
    }
    for (const { key, value } of encoded) queue.add(topic, key, value)
    return encoded.length
  }
}

function faultOf(index: number, reason: DeadLetterReason): IngestFault {
  const message = `record ${index}: ${DEAD_LETTER_DETAILS[reason]}`
  return { status: 400, code: reason, message }
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

/** Also what is too long is read to its end: who still sends would hear no answer. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | Refusal> {
  const body = createBoundedBytes(BODY_BYTES_MAX)
  let length = 0
  try {
    for await (const bytes of request) {
      length += bytes.length
      body.push(bytes)
    }
    const message = `A body may have ${BODY_BYTES_MAX >> 20} MiB.`
    if (length > BODY_BYTES_MAX) return { status: 413, code: 'too_large', message }
    const busy = 'Too many bodies are being read; send it again.'
    return body.whole() ?? { status: 503, code: 'busy', message: busy }
  } finally {
    body.drop()
  }
}
