import { BinaryReader } from '@bufbuild/protobuf/wire'

/** What an endpoint that has taken a request says of the points or spans that it did not take. */
export interface PartialSuccess {
  readonly rejected: number
  readonly message: string
}

const NOTHING: PartialSuccess = { rejected: 0, message: '' }

/** Reads it out of the answer of any signal: they have the same numbers. */
export function partialSuccess(answer: Uint8Array): PartialSuccess {
  try {
    const partial = fieldsOf(answer).get(1)
    if (!(partial instanceof Uint8Array)) return NOTHING
    const fields = fieldsOf(partial)
    // Zero rejected with a message is a warning (OTLP specification, partial success).
    const rejected = Math.max(0, Number(fields.get(1) ?? 0))
    return { rejected, message: textOf(fields.get(2)) }
  } catch {
    // Taken, with an answer that is no protobuf: some endpoints say it in JSON or in words.
    return NOTHING
  }
}

/** Milliseconds for which a gRPC status asks to wait, in a google.rpc.RetryInfo; or null. */
export function retryDelayMs(status: Uint8Array): number | null {
  try {
    const detail = fieldsOf(fieldsOf(status).get(3) as Uint8Array)
    if (!textOf(detail.get(1)).endsWith('google.rpc.RetryInfo')) return null
    const delay = fieldsOf(fieldsOf(detail.get(2) as Uint8Array).get(1) as Uint8Array)
    return Number(delay.get(1) ?? 0) * 1000 + Number(delay.get(2) ?? 0) / 1e6
  } catch {
    return null
  }
}

/** The last value of each field: bytes, or an integer. */
function fieldsOf(message: Uint8Array): Map<number, Uint8Array | bigint> {
  const reader = new BinaryReader(message)
  const fields = new Map<number, Uint8Array | bigint>()
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag()
    if (wire === 2) fields.set(number, reader.bytes())
    else if (wire === 0) fields.set(number, BigInt(reader.int64()))
    else reader.skip(wire, number)
  }
  return fields
}

function textOf(bytes: Uint8Array | bigint | undefined): string {
  return bytes instanceof Uint8Array ? new TextDecoder().decode(bytes) : ''
}
