import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { Codec } from '../bus/codec.ts'
import { createTokenRunDecoder } from '../bus/token-run-decoder.ts'
import { DEAD_LETTER_DETAILS, type DeadLetterReason } from '../core/dead-letter.ts'
import { LensError } from '../core/errors.ts'
import { createBoundedBytes } from './bounded-bytes.ts'
import { SYSTEM_TIMERS } from './clock.ts'
import { createIngestReader, type IngestFault, type IngestReading } from './ingest-reader.ts'
import { sizeOf } from './lanes.ts'
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

const BODY_BYTES_MAX = 4 << 20
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

/**
 * Takes records over HTTP from programs in other languages: all of a request or none of it.
 * Throws LensError configuration_invalid when it cannot listen.
 */
export async function startIngest(options: IngestOptions): Promise<Ingest> {
  const { codec, queue, recordsMax, nowMs } = options
  const runs = createTokenRunDecoder(codec, TOKEN_EVENTS, FUTURE_MS)
  const samples = codec.decoder(RESOURCE_SAMPLES)
  const reader = createIngestReader(recordsMax)
  const refused: Record<string, number> = {}
  let accepted = 0

  function no(response: ServerResponse, status: number, code: string, message: string): void {
    refused[status] = (refused[status] ?? 0) + 1
    if (status === 503) response.setHeader('retry-after', '1')
    // A body that was not read is not read to its end either.
    response.shouldKeepAlive = false
    refuse(response, status, code, message)
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = PATHS[request.url!.split('?', 1)[0]!]
    if (!path) {
      const known = Object.keys(PATHS).join(' or ')
      return no(response, 404, 'not_found', `Send records to POST ${known}.`)
    }
    if (request.method !== 'POST') return no(response, 405, 'bad_method', 'Use POST.')
    const body = await bodyOf(request)
    if (body === null) {
      return no(response, 413, 'too_large', `A body may have ${BODY_BYTES_MAX >> 20} MiB.`)
    }
    const type = request.headers['content-type'] ?? ''
    const isAvro = /\bavro\b/i.test(type)
    if (isAvro) await codec.prepare(path.topic, [body])
    const { records, fault } = isAvro
      ? avroRecord(path.topic, body)
      : reader(path.topic, type, body.toString('utf8'))
    if (fault !== null) return no(response, fault.status, fault.code, fault.message)
    const encoded = records.map((record) => ({
      key: String(record[path.key]),
      value: isAvro ? body : codec.encode(path.topic, record),
    }))
    const bad = firstFault(path.topic, encoded)
    if (bad !== null) return no(response, bad.status, bad.code, bad.message)
    const bytes = encoded.reduce((sum, one) => sum + sizeOf(one), 0)
    if (!queue.hasRoom(encoded.length, bytes)) {
      return no(response, 503, 'queue_full', 'Too many records wait for Kafka; send them again.')
    }
    for (const { key, value } of encoded) queue.add(path.topic, key, value)
    accepted += records.length
    response.writeHead(202, { 'content-type': 'application/json' })
    response.end(`{"accepted":${records.length}}\n`)
  }

  /** A body that is one record, as it is in the topic. */
  function avroRecord(topic: string, body: Buffer): IngestReading {
    const { value, bad } = codec.decoder(topic)(body, nowMs())
    if (bad !== null) return { records: [], fault: faultOf(0, bad) }
    return { records: [value as Readonly<Record<string, unknown>>], fault: null }
  }

  /** What a consumer of the topic would make a dead letter of. */
  function firstFault(topic: string, records: readonly Encoded[]): IngestFault | null {
    const decode = topic === TOKEN_EVENTS ? runs : samples
    for (const [i, { value }] of records.entries()) {
      const { bad } = decode(value, nowMs())
      if (bad !== null) return faultOf(i, bad)
    }
    return null
  }

  const limits = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }
  const server = createServer(
    { ...limits, connectionsCheckingInterval: 1_000 },
    (request, response) => {
      handle(request, response).catch((error: unknown) => {
        if (error instanceof LensError) {
          no(response, 503, error.code, 'The schema registry does not answer; send it again.')
        } else if (!request.complete)
          no(response, 400, 'broken_off', 'The body did not come whole.')
        else no(response, 500, 'failed', 'The records could not be read: a bug of ours.')
      })
    },
  )
  server.maxConnections = CONNECTIONS_MAX
  await once(server.listen(options.port, options.host), 'listening').catch((cause: Error) => {
    const message = `cannot listen on ${options.host} port ${options.port}: ${cause.message}`
    throw new LensError('configuration_invalid', message, { cause })
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    stats: () => ({ accepted, refused: { ...refused } }),
    async stop() {
      const closed = once(server, 'close')
      server.close()
      const cancel = SYSTEM_TIMERS.after(STOP_MS, () => server.closeAllConnections())
      await closed
      cancel()
    },
  }
}

function faultOf(index: number, reason: DeadLetterReason): IngestFault {
  const message = `record ${index}: ${DEAD_LETTER_DETAILS[reason]}`
  return { status: 400, code: reason, message }
}

/** Null when it is too long, at whose end all the same: who still sends would hear no answer. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const body = createBoundedBytes(BODY_BYTES_MAX)
  try {
    for await (const bytes of request) body.push(bytes)
    return body.whole()
  } finally {
    body.drop()
  }
}
