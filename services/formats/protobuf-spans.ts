import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { RequestSpan } from './span.ts'

/** The ids of a span, 16 and 8 bytes. */
export interface SpanIds {
  readonly traceId: Uint8Array
  readonly spanId: Uint8Array
}

const KIND_CLIENT = 3
const STATUS_ERROR = 2
/** Numbers that are not whole; all others are. */
const DOUBLES: ReadonlySet<string> = new Set(['gen_ai.response.time_to_first_chunk'])

/** Spans as an ExportTraceServiceRequest; `instance` is where they come from. */
export function spansProtobuf(
  spans: readonly RequestSpan[],
  instance: string,
  idsOf: (requestId: string) => SpanIds,
): Uint8Array {
  const writer = new BinaryWriter()
  message(writer, 1, () => {
    message(writer, 1, () => {
      attribute(writer, 1, 'service.name', 'llm-latency-lens')
      attribute(writer, 1, 'service.instance.id', instance)
    })
    message(writer, 2, () => {
      message(writer, 1, () => text(writer, 1, 'latency_lens'))
      for (const span of spans) message(writer, 2, () => writeSpan(writer, span, idsOf))
    })
  })
  return writer.finish()
}

function writeSpan(
  writer: BinaryWriter,
  { requestId, name, startUs, endUs, attributes, events, error }: RequestSpan,
  idsOf: (requestId: string) => SpanIds,
): void {
  const { traceId, spanId } = idsOf(requestId)
  writer.tag(1, WireType.LengthDelimited).bytes(traceId)
  writer.tag(2, WireType.LengthDelimited).bytes(spanId)
  text(writer, 5, name)
  writer.tag(6, WireType.Varint).int32(KIND_CLIENT)
  time(writer, 7, startUs)
  time(writer, 8, endUs)
  for (const [key, value] of Object.entries(attributes)) attribute(writer, 9, key, value)
  for (const event of events) {
    message(writer, 11, () => {
      time(writer, 1, event.atUs)
      text(writer, 2, event.name)
    })
  }
  if (error === null) return
  message(writer, 15, () => {
    text(writer, 2, error)
    writer.tag(3, WireType.Varint).int32(STATUS_ERROR)
  })
}

function attribute(
  writer: BinaryWriter,
  field: number,
  key: string,
  value: RequestSpan['attributes'][string],
): void {
  message(writer, field, () => {
    text(writer, 1, key)
    const isDouble = DOUBLES.has(key)
    message(writer, 2, () => {
      if (isDouble) writer.tag(4, WireType.Bit64).double(value as number)
      else anyValue(writer, value)
    })
  })
}

function anyValue(writer: BinaryWriter, value: RequestSpan['attributes'][string]): void {
  if (typeof value === 'string') text(writer, 1, value)
  else if (typeof value === 'boolean') writer.tag(2, WireType.Varint).bool(value)
  else if (typeof value !== 'number') {
    message(writer, 5, () => {
      for (const item of value) message(writer, 1, () => text(writer, 1, item))
    })
  } else writer.tag(3, WireType.Varint).int64(value)
}

function message(writer: BinaryWriter, field: number, write: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork()
  write()
  writer.join()
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value)
}

/** OTLP has nanoseconds. */
function time(writer: BinaryWriter, field: number, us: number): void {
  writer.tag(field, WireType.Bit64).fixed64(BigInt(us) * 1000n)
}
