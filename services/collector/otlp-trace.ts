import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import { isFields } from './dialect/fields.ts'

/** The two forms that OTLP over HTTP has. */
export type OtlpForm = 'protobuf' | 'json'

/** By media type. */
export const OTLP_FORMS: Readonly<Record<string, OtlpForm>> = {
  'application/x-protobuf': 'protobuf',
  'application/json': 'json',
}

/** A span as OTLP has it in JSON, nothing of it checked: 64-bit numbers may be texts. */
export interface OtlpSpan {
  readonly resource: unknown
  readonly span: Readonly<Record<string, unknown>>
}

const FILE = new URL('../../schemas/proto/otlp-trace.proto', import.meta.url)
const { root } = protobuf.parse(readFileSync(FILE, 'utf8'))
const [REQUEST, RESPONSE, STATUS] = [
  'ExportTraceServiceRequest',
  'ExportTraceServiceResponse',
  'Status',
].map((name) => root.lookupType(`opentelemetry.proto.${name}`)) as [
  protobuf.Type,
  protobuf.Type,
  protobuf.Type,
]

/** The spans of a request of an exporter; null when there are more. Throws when it is none. */
export function readSpans(
  form: OtlpForm,
  bytes: Uint8Array,
  spansMax: number,
): readonly OtlpSpan[] | null {
  const request = form === 'json' ? parse(bytes) : decode(bytes)
  const spans: OtlpSpan[] = []
  for (const { resource, scopeSpans = [] } of request.resourceSpans ?? []) {
    for (const scope of scopeSpans) {
      const own = scope.spans ?? []
      if (spans.length + own.length > spansMax) return null
      for (const span of own) spans.push({ resource, span: { ...span } })
    }
  }
  return spans
}

/** Faults that are told. */
const TOLD_MAX = 5

/** The answer of a receiver that has not taken some spans, with a fault of each. */
export function writeTraceAnswer(form: OtlpForm, faults: readonly string[]): Uint8Array {
  const errorMessage = faults.slice(0, TOLD_MAX).join('; ')
  const partialSuccess = { rejectedSpans: faults.length, errorMessage }
  return write(form, RESPONSE, faults.length === 0 ? {} : { partialSuccess })
}

/** The answer of one that has taken nothing. */
export function writeTraceFault(form: OtlpForm, message: string): Uint8Array {
  return write(form, STATUS, { message })
}

function write(form: OtlpForm, type: protobuf.Type, value: object): Uint8Array {
  return form === 'json' ? Buffer.from(JSON.stringify(value)) : type.encode(value).finish()
}

function parse(bytes: Uint8Array) {
  const value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  if (!isFields(value)) throw new TypeError('it is no object')
  return value as ReturnType<typeof decode>
}

function decode(bytes: Uint8Array) {
  const request = REQUEST.toObject(REQUEST.decode(bytes), { longs: String })
  for (const { scopeSpans = [] } of request.resourceSpans ?? []) {
    for (const scope of scopeSpans) for (const span of scope.spans ?? []) nameIds(span)
  }
  return request
}

/** Ids are bytes in protobuf, and hexadecimal in JSON. */
function nameIds(span: Record<string, unknown>): void {
  for (const name of ['traceId', 'spanId', 'parentSpanId']) {
    if (span[name] instanceof Uint8Array) span[name] = Buffer.from(span[name]).toString('hex')
  }
}
