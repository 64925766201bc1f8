import { type LogRecord, NOT_UNPACKED } from './port.ts'
import { TooLarge, UNPACK } from './unpack.ts'

/** The bytes of one partition in the answer to a fetch, and how far they have been read. */
export interface Fetched {
  readonly buffer: Buffer
  offset: number
}

/** A record as kafkajs hands it on; headers are left out, since nothing here looks at them. */
export interface Message extends LogRecord {
  readonly isControlRecord: boolean
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean }
}

/** A batch that holds more is not unpacked: one record stands for it, and is a dead letter. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024
const BATCH_RECORDS_MAX = 100_000

/** After so much of one partition, what else the answer holds is asked for again. */
const FETCH_BYTES_MAX = 16 * 1024 * 1024

/** What a record takes in memory besides its bytes. */
const RECORD_BYTES = 256

/** What has been unpacked of each answer so far. */
const unpacked = new WeakMap<Fetched, number>()

/**
 * Reads the next record batch in the place of kafkajs's decoder, which unpacks whatever comes, a
 * fetch at a time. Memory is bounded by what is above, not by what a producer sends.
 */
export async function readBatch(fetched: Fetched): Promise<{ readonly records: Message[] }> {
  const taken = unpacked.get(fetched) ?? 0
  const head = readHead(fetched.buffer.subarray(fetched.offset))
  if (head === null || taken > FETCH_BYTES_MAX) throw new NotNow()
  fetched.offset += head.bytes.length
  try {
    if (head.count > BATCH_RECORDS_MAX) throw new TooLarge()
    const plain = await unpack(head)
    unpacked.set(fetched, taken + plain.length + head.count * RECORD_BYTES)
    return { records: readRecords(plain, head) }
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error
    return { records: [standIn(head)] }
  }
}

/** By this name kafkajs knows a batch of which only the beginning was sent. */
class NotNow extends Error {
  override readonly name = 'KafkaJSPartialMessageError'
}

interface Head {
  /** The whole batch. */
  readonly bytes: Buffer
  readonly firstOffset: number
  readonly lastOffset: number
  readonly attributes: number
  readonly firstMs: number
  readonly maxMs: number
  readonly producerId: string
  readonly count: number
}

const HEAD_BYTES = 61
const BYTES_BEFORE_LENGTH_COUNTS = 12
const COMPRESSION = 0x07
const APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20

/**
 * first offset(8) length(4) epoch(4) magic(1) crc(4) attributes(2) last offset delta(4)
 * first time(8) latest time(8) producer(8) epoch(2) sequence(4) count(4) records...
 */
function readHead(from: Buffer): Head | null {
  if (from.length < HEAD_BYTES) return null
  const length = BYTES_BEFORE_LENGTH_COUNTS + from.readInt32BE(8)
  if (from.length < length) return null
  const firstOffset = Number(from.readBigInt64BE(0))
  return {
    bytes: from.subarray(0, length),
    firstOffset,
    lastOffset: firstOffset + from.readInt32BE(23),
    attributes: from.readInt16BE(21),
    firstMs: Number(from.readBigInt64BE(27)),
    maxMs: Number(from.readBigInt64BE(35)),
    producerId: String(from.readBigInt64BE(43)),
    count: from.readInt32BE(57),
  }
}

async function unpack({ bytes, attributes }: Head): Promise<Buffer> {
  const records = bytes.subarray(HEAD_BYTES)
  const compression = attributes & COMPRESSION
  return compression === 0 ? records : UNPACK[compression]!(records, BATCH_BYTES_MAX)
}

/** What the records of a batch share. */
interface Batch extends Pick<Message, 'isControlRecord' | 'batchContext'> {
  readonly plain: Buffer
  readonly appendMs: (timeDelta: number) => number
}

/** A record of a batch: what few ask for is looked for when they do. */
class BatchRecord implements Message {
  readonly offset: number
  readonly value: Buffer | null
  private readonly batch: Batch
  private readonly timeDelta: number
  private readonly keyAt: number

  constructor(batch: Batch, offset: number, timeDelta: number, keyAt: number, valueAt: number) {
    this.offset = offset
    this.value = bytesAt(batch.plain, valueAt)
    this.batch = batch
    this.timeDelta = timeDelta
    this.keyAt = keyAt
  }

  get appendMs(): number {
    return this.batch.appendMs(this.timeDelta)
  }

  get key(): Buffer | null {
    return bytesAt(this.batch.plain, this.keyAt)
  }

  get isControlRecord(): boolean {
    return this.batch.isControlRecord
  }

  get batchContext(): Message['batchContext'] {
    return this.batch.batchContext
  }
}

/** length attributes(1) time-delta offset-delta key-length key value-length value headers... */
function readRecords(plain: Buffer, head: Head): Message[] {
  const { firstOffset, firstMs, maxMs, attributes, count } = head
  const isAppendTime = (attributes & APPEND_TIME) !== 0
  const appendMs = isAppendTime ? () => maxMs : (delta: number) => firstMs + delta
  const batch = { plain, appendMs, ...commonOf(head) }
  const records: Message[] = []
  let at = 0
  for (let i = 0; i < count; i++) {
    const length = varint(plain, at)
    const from = varintEnd
    const end = from + length
    // Also when either is no number.
    if (!(end <= plain.length)) throw new Error(`a record of the batch at ${firstOffset} is torn`)
    const timeDelta = varint(plain, from + 1)
    const offset = firstOffset + varint(plain, varintEnd)
    const keyAt = varintEnd
    const keyLength = varint(plain, keyAt)
    records.push(
      new BatchRecord(batch, offset, timeDelta, keyAt, varintEnd + Math.max(0, keyLength)),
    )
    at = end
  }
  return records
}

/** Where the varint that was read last has ended. */
let varintEnd = 0

/** A zigzag varint; exact up to 2^53. */
function varint(plain: Buffer, from: number): number {
  let at = from
  let byte = plain[at++]!
  if (byte < 0x80) {
    varintEnd = at
    return (byte >>> 1) ^ -(byte & 1)
  }
  let magnitude = byte & 0x7f
  let scale = 128
  do {
    byte = plain[at++]!
    magnitude += (byte & 0x7f) * scale
    scale *= 128
  } while (byte >= 0x80)
  varintEnd = at
  return magnitude % 2 === 0 ? magnitude / 2 : -(magnitude + 1) / 2
}

/** Bytes behind their length, which is below zero when there are none. */
function bytesAt(plain: Buffer, from: number): Buffer | null {
  const length = varint(plain, from)
  return length < 0 ? null : plain.subarray(varintEnd, varintEnd + length)
}

/** At the batch's last offset, so that whoever has read it has passed over all of them. */
function standIn(head: Head): Message {
  const { firstOffset, lastOffset, maxMs } = head
  const place = { offset: lastOffset, appendMs: maxMs, batchFrom: firstOffset }
  return { ...place, key: null, value: NOT_UNPACKED, ...commonOf(head) }
}

/** What all records of a batch have in common. */
function commonOf({ attributes, producerId }: Head) {
  return {
    isControlRecord: (attributes & CONTROL) !== 0,
    batchContext: { producerId, inTransaction: (attributes & TRANSACTIONAL) !== 0 },
  }
}
