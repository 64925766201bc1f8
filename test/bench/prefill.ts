/** Fills lens.token-events of a real broker with more than a fleet sends in a minute. */
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { NewRecord } from '../../services/bus/port.ts'
import type { Cluster } from '../broker/cluster.ts'
import { movable, movedTo } from './movable.ts'
import { REQUEST_CHUNKS, requests } from './requests.ts'

export interface PrefillOptions {
  readonly seed: number
  readonly records: number
  readonly chunksPerRecord: number
  readonly series: number
  readonly partitions: number
}

/** Records that are encoded; the topic is filled with them again and again, each time later. */
const POOL = 20_000
const POOL_SPAN_US = 10e6
const APPEND_BYTES = 700_000

/** Appends the records; what they say happened ends now. Returns their chunks and bytes. */
export async function prefill(
  { bus, codec }: Cluster,
  options: PrefillOptions,
): Promise<{ readonly chunks: number; readonly bytes: number }> {
  const { records, partitions } = options
  const pool = Math.min(POOL, records)
  const cycles = Math.ceil(records / pool)
  const startUs = Date.now() * 1000 - cycles * POOL_SPAN_US - requestSpanUs()
  const made = requests({ ...options, records: pool, startUs, spanUs: POOL_SPAN_US })
  const encoded = made.map((record) => movable(codec.encode(TOKEN_EVENTS, record), record))
  const sink = await bus.sink()
  const waiting: NewRecord[][] = Array.from({ length: partitions }, () => [])
  const sizes = new Array<number>(partitions).fill(0)
  const appends = new Array<Promise<unknown>>(partitions).fill(Promise.resolve())
  let bytes = 0
  const append = async (partition: number) => {
    const batch = waiting[partition]!
    waiting[partition] = []
    sizes[partition] = 0
    await appends[partition]
    appends[partition] = sink.append(TOKEN_EVENTS, partition, batch)
  }
  for (let i = 0; i < records; i++) {
    const cycle = Math.floor(i / pool)
    const record = encoded[i % pool]!
    const own = movedTo(record, record.startedUs + cycle * POOL_SPAN_US)
    const partition = i % partitions
    waiting[partition]!.push({ key: null, value: own })
    sizes[partition]! += own.length
    bytes += own.length
    if (sizes[partition]! > APPEND_BYTES) await append(partition)
  }
  for (let partition = 0; partition < partitions; partition++) await append(partition)
  await Promise.all(appends)
  await sink.close()
  const chunks = made.reduce((sum, { gaps_us }) => sum + gaps_us.length, 0)
  return { chunks: (chunks / pool) * records, bytes }
}

/** A request takes some three seconds: none ends after now. */
function requestSpanUs(): number {
  return REQUEST_CHUNKS * 30_000
}
