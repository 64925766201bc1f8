import type { IncomingMessage } from 'node:http'
import type { TokenEvents } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { Codec } from '../bus/codec.ts'
import { createSampleDecoder } from '../bus/sample-decoder.ts'
import { createTokenRunDecoder } from '../bus/token-run-decoder.ts'
import { DEAD_LETTER_DETAILS, type DeadLetterReason } from '../core/dead-letter.ts'
import { type BodyRules, bodyOf, type Refusal } from './ingest-body.ts'
import {
  createIngestReader,
  type IngestFault,
  type IngestReading,
  type IngestRecord,
} from './ingest-reader.ts'
import { brokenRule } from './ingest-rules.ts'
import { createSpanReader, SPANS_MAX, type SpanReading } from './ingest-spans.ts'
import { sizeOf } from './lanes.ts'
import { OTLP_FORMS, type OtlpForm } from './otlp-trace.ts'
import type { Queue } from './queue.ts'

export interface TakerOptions {
  readonly codec: Codec
  readonly queue: Queue
  /** Of one body. */
  readonly recordsMax: number
  readonly nowMs: () => number
}

/** How many records were taken, and what is wrong with the spans that were not; or why none. */
export type Outcome = { readonly accepted: number; readonly faults: readonly string[] } | Refusal

interface Encoded {
  readonly key: string
  readonly value: Uint8Array
}

/** Small enough that reading it holds up no stream of a proxy in this process for long. */
const RECORDS_BODY: BodyRules = { bytesMax: 1 << 20, mayBePacked: false }
/** Most of a span is not looked at; exporters pack, and send more at a time. */
const SPANS_BODY: BodyRules = { bytesMax: 4 << 20, mayBePacked: true }
/** As in windowing, which would make a dead letter of it. */
const FUTURE_MS = 60_000

/** The topic of a path, and the field that is its key. */
const PATHS: Readonly<Record<string, { readonly topic: string; readonly key: string }>> = {
  '/v1/token-events': { topic: TOKEN_EVENTS, key: 'request_id' },
  '/v1/resource-samples': { topic: RESOURCE_SAMPLES, key: 'endpoint' },
}

/** Where OTLP has it. */
const SPANS_PATH = '/v1/traces'

/** In which form a request brings spans, and wants its answer; null when it brings none. */
export function spansFormOf(request: IncomingMessage): OtlpForm | null {
  if (pathOf(request) !== SPANS_PATH) return null
  return OTLP_FORMS[mediaTypeOf(request)] ?? 'json'
}

/**
 * Reads a request, and puts its records into the queue when all of them are good and have room; of
 * spans those that are good.
 */
export function createTaker(options: TakerOptions): (request: IncomingMessage) => Promise<Outcome> {
  const { codec, queue, recordsMax, nowMs } = options
  // What the consumers of the topics would make a dead letter of is refused here.
  const checks = new Map([
    [TOKEN_EVENTS, createTokenRunDecoder(codec, TOKEN_EVENTS, FUTURE_MS)],
    [RESOURCE_SAMPLES, createSampleDecoder(codec, RESOURCE_SAMPLES, FUTURE_MS)],
  ])
  const reader = createIngestReader(recordsMax)
  const readCalls = createSpanReader(checked)

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

  function put(topic: string, records: readonly Encoded[]): Refusal | null {
    const bytes = records.reduce((sum, one) => sum + sizeOf(one), 0)
    if (!queue.hasRoom(records.length, bytes)) {
      const message = 'Too many records wait for Kafka; send them again.'
      return { status: 503, code: 'queue_full', message }
    }
    for (const { key, value } of records) queue.add(topic, key, value)
    return null
  }

  async function takeRecords(request: IncomingMessage): Promise<Outcome> {
    const { topic, key } = PATHS[pathOf(request)]!
    const body = await bodyOf(request, RECORDS_BODY)
    if ('status' in body) return body
    const type = mediaTypeOf(request)
    const isAvro = type === 'application/avro'
    const { records, fault } = isAvro
      ? await avroRecord(topic, body)
      : reader(topic, type, body.toString('utf8'))
    if (fault !== null) return fault
    const encoded = records.map((record) => ({
      key: String(record[key]),
      value: isAvro ? body : codec.encode(topic, record),
    }))
    const refusal = firstFault(topic, encoded) ?? put(topic, encoded)
    return refusal ?? { accepted: encoded.length, faults: [] }
  }

  /** As they are put into the queue; or what no consumer of the topic would take. */
  function checked(records: readonly TokenEvents[]): readonly Encoded[] | string {
    const broken = records.map(brokenRule).find((rule) => rule !== null)
    if (broken) return `${broken.field} must ${broken.must}`
    const encoded = records.map((record) => ({
      key: record.request_id,
      value: codec.encode(TOKEN_EVENTS, record),
    }))
    return firstFault(TOKEN_EVENTS, encoded)?.message ?? encoded
  }

  async function takeSpans(request: IncomingMessage): Promise<Outcome> {
    const form = OTLP_FORMS[mediaTypeOf(request)]
    if (!form) {
      const message = `Send ${Object.keys(OTLP_FORMS).join(' or ')}.`
      return { status: 415, code: 'unknown_type', message }
    }
    const body = await bodyOf(request, SPANS_BODY)
    if ('status' in body) return body
    let reading: SpanReading<Encoded> | null
    try {
      reading = readCalls(form, body)
    } catch {
      return { status: 400, code: 'bad_request', message: `The body is no OTLP as ${form}.` }
    }
    const many = `A body may have ${SPANS_MAX} spans.`
    if (!reading) return { status: 413, code: 'too_many', message: many }
    const { records, faults, took } = reading
    const refusal = put(TOKEN_EVENTS, records)
    if (refusal) return refusal
    took()
    return { accepted: records.length, faults }
  }

  return async (request) => {
    const path = pathOf(request)
    const take = path === SPANS_PATH ? takeSpans : Object.hasOwn(PATHS, path) ? takeRecords : null
    if (!take) {
      const paths = [...Object.keys(PATHS), SPANS_PATH].join(', ')
      return { status: 404, code: 'not_found', message: `Send with POST to one of ${paths}.` }
    }
    if (request.method !== 'POST') return { status: 405, code: 'bad_method', message: 'Use POST.' }
    return await take(request)
  }
}

function pathOf(request: IncomingMessage): string {
  return request.url!.split('?', 1)[0]!
}

function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

function faultOf(index: number, reason: DeadLetterReason): IngestFault {
  const message = `record ${index}: ${DEAD_LETTER_DETAILS[reason]}`
  return { status: 400, code: reason, message }
}
