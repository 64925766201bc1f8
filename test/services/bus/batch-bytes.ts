/** Record batches as they lie in the log, written byte for byte: not by kafkajs. */

export interface BatchShape {
  readonly firstOffset?: number
  /** Attribute bits: compression 0 to 4, append time 8, transactional 16, control 32. */
  readonly attributes?: number
  readonly firstMs?: number
  readonly maxMs?: number
  readonly lastOffsetDelta?: number
  /** How many records it says that it holds. */
  readonly count?: number
}

/** A batch around the bytes of its records, compressed or not. */
export function batchBytes(records: Buffer, shape: BatchShape = {}): Buffer {
  const { firstOffset = 0, attributes = 0, firstMs = 0, maxMs = 0, count = 1 } = shape
  const head = Buffer.alloc(61)
  head.writeBigInt64BE(BigInt(firstOffset), 0)
  head.writeInt32BE(49 + records.length, 8)
  head.writeInt8(2, 16)
  head.writeInt16BE(attributes, 21)
  head.writeInt32BE(shape.lastOffsetDelta ?? count - 1, 23)
  head.writeBigInt64BE(BigInt(firstMs), 27)
  head.writeBigInt64BE(BigInt(maxMs), 35)
  head.writeBigInt64BE(-1n, 43)
  head.writeInt32BE(count, 57)
  return Buffer.concat([head, records])
}

export interface RecordShape {
  readonly offsetDelta: number
  readonly timeDelta?: number
  readonly key?: Buffer | null
  readonly value: Buffer | null
  readonly headers?: readonly (readonly [string, string])[]
}

/** A record inside a batch. */
export function recordBytes(record: RecordShape): Buffer {
  const { offsetDelta, timeDelta = 0, key = null, value, headers = [] } = record
  const named = headers.flatMap(([name, text]) => [
    field(Buffer.from(name)),
    field(Buffer.from(text)),
  ])
  const body = Buffer.concat([
    Buffer.from([0, ...varint(timeDelta), ...varint(offsetDelta)]),
    field(key),
    field(value),
    Buffer.from(varint(headers.length)),
    ...named,
  ])
  return Buffer.concat([Buffer.from(varint(body.length)), body])
}

/** Before the zeros of a value that is too long to be held, and its record's whole length. */
export function recordHead(offsetDelta: number, valueBytes: number): Buffer {
  const head = [0, 0, ...varint(offsetDelta), ...varint(-1), ...varint(valueBytes)]
  return Buffer.from([...varint(head.length + valueBytes + 1), ...head])
}

function field(bytes: Buffer | null): Buffer {
  return bytes ? Buffer.concat([Buffer.from(varint(bytes.length)), bytes]) : Buffer.of(1)
}

function varint(value: number): number[] {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  const bytes: number[] = []
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80)
  return [...bytes, rest]
}
