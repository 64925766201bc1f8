/** Fills lens.token-events of a real broker with more than a fleet sends in a minute. */
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { NewRecord } from '../../services/bus/port.ts'
import type { Cluster } from '../broker/cluster.ts'
import { NOON_US } from '../records.ts'
import { movable, movedTo } from './movable.ts'
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
  // A start takes as many bytes at any instant of this century.
  const encoded = made.map((record) =>
    movable(codec.encode(TOKEN_EVENTS, { ...record, started_at: NOON_US }), record),
  )
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
    const record = encoded[i % pool]!
    chunks += made[i % pool]!.gaps_us.length
    const own = movedTo(record, beganUs + record.startedUs)
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
