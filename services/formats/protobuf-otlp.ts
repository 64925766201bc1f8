import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** What an endpoint that has taken a request says of the points or spans that it did not take. */
export interface PartialSuccess {
  readonly rejected: number
  readonly message: string
}

const NOTHING: PartialSuccess = { rejected: 0, message: '' }

/** Reads it out of the answer of any signal: they have the same numbers. */
export function partialSuccess(answer: Uint8Array): PartialSuccess {
  try {
    const [partial] = bytesIn(answer, 1)
    if (!partial) return NOTHING
    // Zero rejected with a message is a warning (OTLP specification, partial success).
    const rejected = Math.max(0, Number(valuesIn(partial, 1).at(-1) ?? 0))
    return { rejected, message: textIn(partial, 2) }
  } catch {
    // Taken, with an answer that is no protobuf: some endpoints say it in JSON or in words.
    return NOTHING
  }
}

/** Milliseconds for which a gRPC status asks to wait, in a google.rpc.RetryInfo; or null. */
export function retryDelayMs(status: Uint8Array): number | null {
  try {
    const details = bytesIn(status, 3)
    const info = details.find((detail) => textIn(detail, 1).endsWith('google.rpc.RetryInfo'))
    const [delay] = info ? bytesIn(bytesIn(info, 2)[0]!, 1) : []
    if (!delay) return null
    const [seconds, nanos] = [1, 2].map((field) => Number(valuesIn(delay, field).at(-1) ?? 0))
    return Math.max(0, seconds! * 1000 + nanos! / 1e6)
  } catch {
    return null
  }
}

/** The values of a field: bytes, or integers. */
function valuesIn(message: Uint8Array, field: number): (Uint8Array | bigint)[] {
  const reader = new BinaryReader(message)
  const values: (Uint8Array | bigint)[] = []
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag()
    if (number !== field) reader.skip(wire, number)
    else if (wire === WireType.LengthDelimited) values.push(reader.bytes())
    else if (wire === WireType.Varint) values.push(BigInt(reader.int64()))
    else reader.skip(wire, number)
  }
  return values
}

function bytesIn(message: Uint8Array, field: number): Uint8Array[] {
  return valuesIn(message, field).filter((value) => value instanceof Uint8Array)
}

function textIn(message: Uint8Array, field: number): string {
  return new TextDecoder().decode(bytesIn(message, field).at(-1))
}
