import zlib from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { compressFrameSync } from 'lz4-napi'
import { assert } from '../core/errors.ts'

/** A record as kafkajs hands it over. */
export interface OutgoingRecord {
  readonly key?: string | Buffer | null
  readonly value: string | Buffer | null
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

/** The version of the layout. */
export const MAGIC_BYTE = 2
const HEAD_BYTES = 61
const BYTES_BEFORE_LENGTH_COUNTS = 12
const CRC_AT = 17
const BYTES_BEFORE_CRC_COUNTS = 21
const TRANSACTIONAL = 0x10
/** Of a record besides its key and value: six numbers, a byte, and no headers. */
const RECORD_HEAD_BYTES_MAX = 48

/** By the number that a batch names its compression with. */
export const PACK: Record<number, (bytes: Buffer) => Buffer> = {
  1: zlib.gzipSync,
  3: compressFrameSync,
  4: (bytes) => zlib.zstdCompressSync(bytes, FASTEST),
}
const FASTEST = { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } }

/**
 * Writes a batch into one buffer, in the place of kafkajs, which makes one of 512 bytes for each
 * record and copies it into larger and larger ones. Without headers, which nothing here sends. The
 * layout is in record-batch.ts.
 */
export function writeBatch(batch: OutgoingBatch): Encoded {
  const { records, compression, transactional } = batch
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + records.reduce((sum, r) => sum + bytesMost(r), 0))
  const plain = bytes.subarray(0, writeRecords(bytes, HEAD_BYTES, records))
  const buf = compression === 0 ? plain : pack(plain, compression)
  buf.writeBigInt64BE(0n, 0)
  buf.writeInt32BE(buf.length - BYTES_BEFORE_LENGTH_COUNTS, 8)
  buf.writeInt32BE(0, 12)
  buf.writeInt8(MAGIC_BYTE, 16)
  buf.writeInt16BE(compression | (transactional ? TRANSACTIONAL : 0), 21)
  buf.writeInt32BE(batch.lastOffsetDelta, 23)
  buf.writeBigInt64BE(BigInt(batch.firstTimestamp), 27)
  buf.writeBigInt64BE(BigInt(batch.maxTimestamp), 35)
  buf.writeBigInt64BE(BigInt(batch.producerId.toString()), 43)
  buf.writeInt16BE(batch.producerEpoch, 51)
  buf.writeInt32BE(batch.firstSequence, 53)
  buf.writeInt32BE(records.length, 57)
  buf.writeUInt32BE(crc32c(buf.subarray(BYTES_BEFORE_CRC_COUNTS)), CRC_AT)
  return { buf, buffer: buf, size: () => buf.length }
}

function pack(plain: Buffer, compression: number): Buffer {
  const packer = PACK[compression]
  assert(packer !== undefined, `this does not write batches with compression ${compression}`)
  return Buffer.concat([plain.subarray(0, HEAD_BYTES), packer(plain.subarray(HEAD_BYTES))])
}

function bytesMost({ key, value }: OutgoingRecord): number {
  return RECORD_HEAD_BYTES_MAX + textBytesMost(key) + textBytesMost(value)
}

function textBytesMost(text: string | Buffer | null | undefined): number {
  return typeof text === 'string' ? text.length * 3 : (text?.length ?? 0)
}

function writeRecords(into: Buffer, from: number, records: readonly OutgoingRecord[]): number {
  let at = from
  for (const { key = null, value, headers, offsetDelta, timestampDelta } of records) {
    assert(headers === undefined, 'this writes records without headers')
    const keyBytes = key === null ? -1 : Buffer.byteLength(key)
    const valueBytes = value === null ? -1 : Buffer.byteLength(value)
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
    at = writeText(into, at, key)
    at = writeVarint(into, at, valueBytes)
    at = writeText(into, at, value)
    into[at++] = 0
  }
  return at
}

function writeText(into: Buffer, at: number, text: string | Buffer | null): number {
  if (text === null) return at
  return at + (typeof text === 'string' ? into.write(text, at) : text.copy(into, at))
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

/** The bytes of a zigzag varint. */
export function varintSize(value: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  let size = 1
  while (rest >= 128) {
    size++
    rest = Math.floor(rest / 128)
  }
  return size
}
