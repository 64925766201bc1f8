/** Fills lens.token-events of a real broker with more than a fleet sends in a minute. */
import type { TokenEvents } from '../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { createAvroReader } from '../../services/bus/avro-reader.ts'
import { HEADER_BYTES } from '../../services/bus/codec.ts'
import type { NewRecord } from '../../services/bus/port.ts'
import type { Cluster } from '../broker/cluster.ts'
import { NOON_US } from '../records.ts'
import { requests } from './requests.ts'

export interface PrefillOptions {
  readonly seed: number
  readonly records: number
  readonly chunksPerRecord: number
  readonly series: number
  readonly partitions: number
}

/** Records that are encoded; the topic is filled with them again and again, each time later. */
const POOL = 20_000
/** Requests of the pool begin within a second, and take some three. */
const POOL_SPAN_US = 1e6
const REQUEST_US_MAX = 4e6
const APPEND_BYTES = 700_000

/**
 * Appends the records as a live fleet would: what they say happened just now. Returns their chunks
 * and bytes.
 */
export async function prefill(
  { bus, codec }: Cluster,
  options: PrefillOptions,
): Promise<{ readonly chunks: number; readonly bytes: number }> {
  const { records, partitions } = options
  const pool = Math.min(POOL, records)
  const made = requests({ ...options, records: pool, startUs: 0, spanUs: POOL_SPAN_US })
  const encoded = made.map((record) => {
    const started_at = NOON_US
    return encode(codec.encode(TOKEN_EVENTS, { ...record, started_at }), record)
  })
  const sink = await bus.sink()
  const waiting: NewRecord[][] = Array.from({ length: partitions }, () => [])
  const sizes = new Array<number>(partitions).fill(0)
  const appends = new Array<Promise<unknown>>(partitions).fill(Promise.resolve())
  let bytes = 0
  let chunks = 0
  let beganUs = 0
  const append = async (partition: number) => {
    const batch = waiting[partition]!
    waiting[partition] = []
    sizes[partition] = 0
    await appends[partition]
    appends[partition] = sink.append(TOKEN_EVENTS, partition, batch)
  }
  for (let i = 0; i < records; i++) {
    if (i % pool === 0) beganUs = Date.now() * 1000 - POOL_SPAN_US - REQUEST_US_MAX
    const { value, startedUs, at } = encoded[i % pool]!
    chunks += made[i % pool]!.gaps_us.length
    const own = Buffer.from(value)
    writeLong(own, at, beganUs + startedUs)
    const partition = i % partitions
    waiting[partition]!.push({ key: null, value: own })
    sizes[partition]! += own.length
    bytes += own.length
    if (sizes[partition]! > APPEND_BYTES) await append(partition)
  }
  for (let partition = 0; partition < partitions; partition++) await append(partition)
  await Promise.all(appends)
  await sink.close()
  return { chunks, bytes }
}

/** The place of the start, which takes as many bytes at any instant of this century. */
function encode(value: Uint8Array, record: TokenEvents) {
  const reader = createAvroReader()
  reader.open(value, HEADER_BYTES)
  for (let i = 0; i < 7; i++) reader.skipBytes()
  reader.skipStringMap()
  return { value, startedUs: record.started_at, at: reader.position() }
}

function writeLong(into: Buffer, at: number, value: number): void {
  let rest = BigInt(value) * 2n
  for (let i = 0; i < 7; i++) {
    into[at + i] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  into[at + 7] = Number(rest)
}
