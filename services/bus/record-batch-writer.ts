import { crc32c } from '@node-rs/crc32'
import { assert } from '../core/errors.ts'

/** A record as kafkajs hands it over. */
export interface OutgoingRecord {
  readonly key?: string | Buffer | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, unknown>>
  readonly offsetDelta: number
  readonly timestampDelta: number
}

/** A batch as kafkajs hands it over: times and ids are numbers, or what prints as one. */
export interface OutgoingBatch {
  readonly records: readonly OutgoingRecord[]
  readonly firstTimestamp: number | string
  readonly maxTimestamp: number | string
  readonly producerId: { toString(): string }
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly lastOffsetDelta: number
  readonly transactional: boolean
  readonly compression: number
}

/** As kafkajs's encoder shows itself to others. */
export interface Encoded {
  readonly buf: Buffer
  readonly buffer: Buffer
  size(): number
}

const HEAD_BYTES = 61
const BYTES_BEFORE_LENGTH_COUNTS = 12
const CRC_AT = 17
const BYTES_BEFORE_CRC_COUNTS = 21
/** The version of the layout. */
export const MAGIC_BYTE = 2
/** Of a record besides its key and value: six numbers, a byte, and no headers. */
const RECORD_HEAD_BYTES_MAX = 48

/**
 * Writes a batch into one buffer, in the place of kafkajs, which makes one of 512 bytes for each
 * record and copies it into larger and larger ones. Neither headers nor compression nor
 * transactions, which nothing here sends. The layout is in record-batch.ts.
 */
export function writeBatch(batch: OutgoingBatch): Encoded {
  const { records, compression, transactional } = batch
  assert(compression === 0 && !transactional, 'this writes plain batches only')
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + records.reduce((sum, r) => sum + bytesMost(r), 0))
  const end = writeRecords(bytes, HEAD_BYTES, records)
  bytes.writeBigInt64BE(0n, 0)
  bytes.writeInt32BE(end - BYTES_BEFORE_LENGTH_COUNTS, 8)
  bytes.writeInt32BE(0, 12)
  bytes.writeInt8(MAGIC_BYTE, 16)
  bytes.writeInt16BE(0, 21)
  bytes.writeInt32BE(batch.lastOffsetDelta, 23)
  bytes.writeBigInt64BE(BigInt(batch.firstTimestamp), 27)
  bytes.writeBigInt64BE(BigInt(batch.maxTimestamp), 35)
  bytes.writeBigInt64BE(BigInt(batch.producerId.toString()), 43)
  bytes.writeInt16BE(batch.producerEpoch, 51)
  bytes.writeInt32BE(batch.firstSequence, 53)
  bytes.writeInt32BE(records.length, 57)
  bytes.writeUInt32BE(crc32c(bytes.subarray(BYTES_BEFORE_CRC_COUNTS, end)), CRC_AT)
  const buf = bytes.subarray(0, end)
  return { buf, buffer: buf, size: () => end }
}

function bytesMost({ key, value }: OutgoingRecord): number {
  const keyBytes = typeof key === 'string' ? key.length * 3 : (key?.length ?? 0)
  return RECORD_HEAD_BYTES_MAX + keyBytes + (value?.length ?? 0)
}

function writeRecords(into: Buffer, from: number, records: readonly OutgoingRecord[]): number {
  let at = from
  for (const { key, value, headers, offsetDelta, timestampDelta } of records) {
    assert(headers === undefined, 'this writes records without headers')
    const keyBytes = key == null ? -1 : Buffer.byteLength(key)
    const valueBytes = value === null ? -1 : value.length
    const body =
      2 +
      varintSize(timestampDelta) +
      varintSize(offsetDelta) +
      varintSize(keyBytes) +
      Math.max(0, keyBytes) +
      varintSize(valueBytes) +
      Math.max(0, valueBytes)
    at = writeVarint(into, at, body)
    into[at++] = 0
    at = writeVarint(into, at, timestampDelta)
    at = writeVarint(into, at, offsetDelta)
    at = writeVarint(into, at, keyBytes)
    if (typeof key === 'string') at += into.write(key, at)
    else if (key) at += key.copy(into, at)
    at = writeVarint(into, at, valueBytes)
    if (value) at += value.copy(into, at)
    into[at++] = 0
  }
  return at
}

/** A zigzag varint of a number below 2^52; returns where it ends. */
function writeVarint(into: Buffer, from: number, value: number): number {
  let at = from
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  while (rest >= 128) {
    into[at++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  into[at++] = rest
  return at
}

function varintSize(value: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  let size = 1
  while (rest >= 128) {
    size++
    rest = Math.floor(rest / 128)
  }
  return size
}
