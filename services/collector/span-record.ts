import type { TokenEvents } from '../../schemas/records.ts'
import { fieldsOf, isText, listOf } from './dialect/fields.ts'
import { createUsageCounter, type Usage } from './dialect/usage.ts'
import { wordOf } from './error-type.ts'
import { createMeter, type RequestLabels } from './meter.ts'
import type { OtlpSpan } from './otlp-trace.ts'
import * as names from './span-names.ts'

/** What is wrong with a span, like a field of a record. */
export interface SpanFault {
  readonly field: string
  readonly must: string
}

export type Attributes = ReadonlyMap<string, unknown>

/** A span's place in its trace. */
interface SpanPlace {
  readonly id: string
  /** Empty when it is the first one, or says no place. */
  readonly parentId: string
}

/** Where a span is; the ids of two spans are never the same. Null when it does not say so. */
export function placeOf({ traceId, spanId, parentSpanId }: OtlpSpan['span']): SpanPlace | null {
  if (!isHex(traceId, 32) || !isHex(spanId, 16)) return null
  const idOf = (span: string) => `${traceId}-${span}`.toLowerCase()
  return { id: idOf(spanId), parentId: isHex(parentSpanId, 16) ? idOf(parentSpanId) : '' }
}

/** What a span that is a call says of it; null of any other span. */
export function callAttributes(span: OtlpSpan['span']): Attributes | null {
  const own = attributesOf(span)
  const known = names.CALLS.find(([name]) => own.has(name))
  const isCall = known ? known[1].includes(own.get(known[0]) as string) : own.has(names.CALL_SIGN)
  return isCall ? own : null
}

/**
 * The records of a call. What its span does not say is not made up, as docs/collector.md has it:
 * without the times of chunks there are none.
 */
export function recordsOfCall(
  span: OtlpSpan['span'],
  id: string,
  own: Attributes,
  resource: Attributes,
): readonly TokenEvents[] | SpanFault {
  const [startUs, endUs] = [usOf(span.startTimeUnixNano), usOf(span.endTimeUnixNano)]
  const labels = labelsOf(id, own, resource)
  if (labels.model === '') return fault(names.MODEL[0]!, 'be given')
  const long = Object.entries(labels).find(([, text]) => text.length > LABEL_LENGTH_MAX)
  if (long) return fault(`what is label ${long[0]}`, `have ${LABEL_LENGTH_MAX} characters at most`)
  if (startUs === null) return fault('startTimeUnixNano', 'be nanoseconds since 1970')
  if (endUs === null || endUs < startUs) return fault('endTimeUnixNano', 'not be before the start')
  const chunks = chunkTimesUs(span, startUs, names.CHUNK_EVENT)
  const firsts = chunkTimesUs(span, startUs, names.FIRST_CHUNK_EVENT)
  if (chunks.includes(null) || firsts.includes(null)) {
    return fault('events[].timeUnixNano', 'be given, and not be before the start')
  }
  const ttftUs = Math.round(Number(first(own, names.TTFT_S) ?? Number.NaN) * 1e6)
  if (ttftUs < 0 || ttftUs > endUs - startUs) {
    return fault(names.TTFT_S[0]!, 'be seconds, and no more than the span has')
  }
  const durationUs = endUs - startUs
  const told = [...(firsts as number[]), ...(ttftUs >= 0 ? [ttftUs] : [])]
  const times = { startUs, durationUs, chunks: chunks as number[], firstUs: told[0] ?? null }
  return measure(labels, times, own, span)
}

/** Longer ones are refused, not cut: a label that is a text is somebody's mistake. */
const LABEL_LENGTH_MAX = 256

interface Times {
  readonly startUs: number
  readonly durationUs: number
  /** Of each chunk, since the start. */
  readonly chunks: readonly number[]
  /** Of the first one, where the others are not told. */
  readonly firstUs: number | null
}

function measure(
  labels: SpanLabels,
  { startUs, durationUs, chunks, firstUs }: Times,
  own: Attributes,
  span: OtlpSpan['span'],
): readonly TokenEvents[] {
  const { service, ...named } = labels
  const attributes: Record<string, string> = service === '' ? {} : { 'service.name': service }
  const meter = createMeter({ ...named, attributes }, startUs)
  const records: TokenEvents[] = []
  const quality: string[] = []
  const chunk = (atUs: number, tokens: number | null) => {
    if (meter.chunk(atUs, tokens)) records.push(meter.take()!)
  }
  const isError = [2, 'STATUS_CODE_ERROR'].includes(fieldsOf(span.status).code as number)
  const usage = usageOf(own)
  if (chunks.length > 0) for (const atUs of chunks) chunk(atUs, null)
  else if (firstUs !== null) {
    // Of what came behind the first chunk the span knows when it had ended, and how much it was.
    const tokens = usage.outputTokens || null
    chunk(firstUs, tokens && 1)
    if (!isError && tokens !== 1) {
      chunk(durationUs, tokens && tokens - 1)
      quality.push('buffered')
    }
  }
  if (!isError && meter.chunks() > 0 && usage.outputTokens === null) quality.push('no_usage')
  const reasons = first(own, names.FINISH_REASONS)
  const end = meter.end({
    status: isError ? 'error' : 'ok',
    errorType: isError ? (wordOf(own.get('error.type')) ?? 'error') : '',
    finishReason: wordOf(Array.isArray(reasons) ? reasons[0] : reasons) ?? '',
    ...{ durationUs, usage, quality },
  })
  return [...records, end]
}

type SpanLabels = Omit<RequestLabels, 'attributes'> & { readonly service: string }

function labelsOf(id: string, own: Attributes, resource: Attributes): SpanLabels {
  const text = (from: Attributes, ...wanted: readonly string[]) => {
    const value = first(from, wanted)
    return isText(value) ? value : ''
  }
  const service = text(resource, 'service.name')
  const [host, port] = [text(own, 'server.address'), own.get('server.port')]
  return {
    request_id: id,
    source: text(resource, 'service.instance.id', 'host.name'),
    provider: text(own, ...names.PROVIDER),
    model: text(own, ...names.MODEL),
    endpoint: host === '' ? service : typeof port === 'number' ? `${host}:${port}` : host,
    region: text(resource, 'cloud.region'),
    tenant: text(own, ...names.TENANT) || text(resource, ...names.TENANT),
    service,
  }
}

function usageOf(own: Attributes): Usage {
  const counter = createUsageCounter()
  counter.total({
    inputTokens: first(own, names.INPUT_TOKENS),
    outputTokens: first(own, names.OUTPUT_TOKENS),
    cachedTokens: first(own, names.CACHED_TOKENS),
    reasoningTokens: first(own, names.REASONING_TOKENS),
  })
  return counter.usage()
}

/** Since the start, ascending; null for one that has none. */
function chunkTimesUs(span: OtlpSpan['span'], startUs: number, name: string): (number | null)[] {
  const events = listOf(span.events).map(fieldsOf)
  const times = events
    .filter((event) => event.name === name)
    .map((event) => {
      const atUs = usOf(event.timeUnixNano)
      return atUs === null || atUs < startUs ? null : atUs - startUs
    })
  return times.sort((a, b) => (a ?? 0) - (b ?? 0))
}

function first(from: Attributes, wanted: readonly string[]): unknown {
  return from.get(wanted.find((name) => from.has(name)) ?? '')
}

/** Those of a span or a resource, as OTLP has them in JSON. */
export function attributesOf(holder: unknown): Attributes {
  const entries = listOf(fieldsOf(holder).attributes).map(fieldsOf)
  return new Map(
    entries.flatMap(({ key, value }) => (isText(key) ? [[key, anyValue(value)] as const] : [])),
  )
}

function anyValue(value: unknown): unknown {
  const { stringValue, intValue, doubleValue, arrayValue } = fieldsOf(value)
  if (arrayValue !== undefined) {
    return listOf(fieldsOf(arrayValue).values).map((item) => fieldsOf(item).stringValue)
  }
  const number = intValue ?? doubleValue
  const isNumber = typeof number === 'number' || typeof number === 'string'
  return stringValue ?? (isNumber ? Number(number) : undefined)
}

/** Whole microseconds of nanoseconds, which may be a text; null when they are none. */
function usOf(nanoseconds: unknown): number | null {
  if (typeof nanoseconds !== 'string' && typeof nanoseconds !== 'number') return null
  if (!/^\d{1,19}$/.test(String(nanoseconds))) return null
  const us = Number(BigInt(nanoseconds) / 1000n)
  return us > 0 ? us : null
}

function isHex(text: unknown, digits: number): text is string {
  return typeof text === 'string' && text.length === digits && /^[0-9a-f]+$/i.test(text)
}

function fault(field: string, must: string): SpanFault {
  return { field, must }
}
