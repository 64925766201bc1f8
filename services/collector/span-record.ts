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

type Attributes = ReadonlyMap<string, unknown>

/** A span's place in its trace. */
export interface SpanPlace {
  readonly id: string
  readonly parentId: string
}

/** Where a span is; the ids of two spans are never the same. */
export function placeOf({ span }: OtlpSpan): SpanPlace {
  const { traceId, spanId, parentSpanId } = span
  return { id: `${traceId}-${spanId}`, parentId: parentSpanId ? `${traceId}-${parentSpanId}` : '' }
}

/**
 * The records of a span that is a call of a model; none of any other span. What a span does not say
 * is not made up, as docs/collector.md has it: without the times of chunks there are none.
 */
export function recordsOfSpan(from: OtlpSpan): readonly TokenEvents[] | SpanFault {
  const { span } = from
  const own = attributesOf(span)
  if (!isCall(own)) return []
  const resource = attributesOf(from.resource)
  const [startUs, endUs] = [usOf(span.startTimeUnixNano), usOf(span.endTimeUnixNano)]
  const labels = labelsOf(placeOf(from).id, own, resource)
  const ttftUs = Math.round(Number(first(own, names.TTFT_S) ?? Number.NaN) * 1e6)
  if (!/^[0-9a-f]{32}-[0-9a-f]{16}$/i.test(labels.request_id)) {
    return fault('traceId, spanId', 'be 32 and 16 hexadecimal digits')
  }
  if (labels.model === '') return fault(names.MODEL[0]!, 'be given')
  if (startUs === null) return fault('startTimeUnixNano', 'be nanoseconds since 1970')
  if (endUs === null || endUs < startUs) return fault('endTimeUnixNano', 'not be before the start')
  if (ttftUs < 0 || ttftUs > endUs - startUs)
    return fault(names.TTFT_S[0]!, 'be seconds, and no more than the span has')
  const times = chunkTimesUs(span, startUs)
  if (times.length === 0 && ttftUs >= 0) times.push(ttftUs)
  return measure(labels, { startUs, durationUs: endUs - startUs, times }, own, span)
}

interface Times {
  readonly startUs: number
  readonly durationUs: number
  /** Of the chunks, since the start. */
  readonly times: readonly number[]
}

function measure(
  labels: RequestLabels,
  { startUs, durationUs, times }: Times,
  own: Attributes,
  span: OtlpSpan['span'],
): readonly TokenEvents[] {
  const meter = createMeter(labels, startUs)
  const records: TokenEvents[] = []
  const quality: string[] = []
  const chunk = (atUs: number, tokens: number | null) => {
    if (meter.chunk(atUs, tokens)) records.push(meter.take()!)
  }
  const isError = [2, 'STATUS_CODE_ERROR'].includes(fieldsOf(span.status).code as number)
  const usage = usageOf(own)
  if (times.length > 1) for (const atUs of times) chunk(atUs, null)
  else if (times.length === 1) {
    // Of what came behind the first chunk the span knows when it had ended, and how much it was.
    const rest = usage.outputTokens === null ? null : Math.max(0, usage.outputTokens - 1)
    chunk(times[0]!, rest === null ? null : 1)
    if (!isError && rest !== 0) {
      chunk(durationUs, rest)
      quality.push('buffered')
    }
  }
  if (!isError && times.length > 0 && usage.outputTokens === null) quality.push('no_usage')
  const reasons = first(own, names.FINISH_REASONS)
  const end = meter.end({
    status: isError ? 'error' : 'ok',
    errorType: isError ? (wordOf(own.get('error.type')) ?? 'error') : '',
    finishReason: wordOf(Array.isArray(reasons) ? reasons[0] : reasons) ?? '',
    ...{ durationUs, usage, quality },
  })
  return [...records, end]
}

function isCall(own: Attributes): boolean {
  const known = names.CALLS.find(([name]) => own.has(name))
  if (!known) return own.has(names.CALL_SIGN)
  return known[1].includes(own.get(known[0]) as string)
}

function labelsOf(id: string, own: Attributes, resource: Attributes): RequestLabels {
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
    endpoint: host === '' ? service : port === undefined ? host : `${host}:${port}`,
    region: text(resource, 'cloud.region'),
    tenant: text(own, ...names.TENANT) || text(resource, ...names.TENANT),
    attributes: service === '' ? {} : { 'service.name': service },
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

function chunkTimesUs(span: OtlpSpan['span'], startUs: number): number[] {
  return listOf(span.events)
    .map(fieldsOf)
    .filter(({ name }) => names.CHUNK_EVENTS.has(name as string))
    .map(({ timeUnixNano }) => Math.max(0, (usOf(timeUnixNano) ?? startUs) - startUs))
    .sort((a, b) => a - b)
}

function first(from: Attributes, wanted: readonly string[]): unknown {
  return from.get(wanted.find((name) => from.has(name)) ?? '')
}

/** Those of a span or a resource, as OTLP has them in JSON. */
function attributesOf(holder: unknown): Attributes {
  const entries = listOf(fieldsOf(holder).attributes).map(fieldsOf)
  return new Map(entries.map(({ key, value }) => [String(key), anyValue(value)]))
}

function anyValue(value: unknown): unknown {
  const { stringValue, intValue, doubleValue, arrayValue } = fieldsOf(value)
  if (arrayValue !== undefined) return listOf(fieldsOf(arrayValue).values).map(textOf)
  const number = intValue ?? doubleValue
  return stringValue ?? (number === undefined ? undefined : Number(number))
}

function textOf(value: unknown): unknown {
  return fieldsOf(value).stringValue
}

/** Whole microseconds of nanoseconds, which may be a text; null when they are none. */
function usOf(nanoseconds: unknown): number | null {
  if (typeof nanoseconds !== 'string' && typeof nanoseconds !== 'number') return null
  if (!/^\d{1,19}$/.test(String(nanoseconds))) return null
  const us = Number(BigInt(nanoseconds) / 1000n)
  return us > 0 ? us : null
}

function fault(field: string, must: string): SpanFault {
  return { field, must }
}
