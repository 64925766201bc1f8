/** Fills lens.token-events of a real broker with more than a fleet sends in a minute. */
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { writeBatch } from '../../services/bus/record-batch-writer.ts'
import type { Cluster } from '../broker/cluster.ts'
import { NOON_US } from '../records.ts'
import { type Movable, movable, movedTo } from './movable.ts'
import { openRawProducer } from './raw-producer.ts'
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
const BATCH_BYTES = 700_000
/** About what a broker here appends. */
const BYTES_PER_US = 100

/**
 * Appends the records as a live fleet of the size of the broker would: what they say happened just
 * now. Returns their chunks and bytes.
 */
export async function prefill(
  { codec }: Pick<Cluster, 'codec'>,
  broker: string,
  options: PrefillOptions,
): Promise<{ readonly chunks: number; readonly bytes: number }> {
  const { records, partitions } = options
  const made = requests({
    ...{ ...options, records: Math.min(POOL, records) },
    ...{ startUs: 0, spanUs: POOL_SPAN_US },
  })
  // A start takes as many bytes at any instant of this century.
  const pool = made.map((record) =>
    movable(codec.encode(TOKEN_EVENTS, { ...record, started_at: NOON_US }), record),
  )
  let chunks = 0
  for (let i = 0; i < records; i++) chunks += made[i % made.length]!.gaps_us.length
  const batches = Array.from({ length: partitions }, (_, partition) =>
    batchesOf(pool, records, partition, partitions),
  )
  await Promise.all(batches.map((own, partition) => appendAll(broker, partition, own)))
  const bytes = batches.flat().reduce((sum, { length }) => sum + length, 0)
  return { chunks, bytes }
}

async function appendAll(broker: string, partition: number, batches: Buffer[]): Promise<void> {
  const producer = await openRawProducer(broker)
  for (const batch of batches) await producer.append(TOKEN_EVENTS, partition, batch)
  producer.close()
}

/** Every so manieth record of all, in batches; each time through the pool later than the last. */
function batchesOf(
  pool: readonly Movable[],
  records: number,
  first: number,
  step: number,
): Buffer[] {
  const beganUs = Date.now() * 1000 - POOL_SPAN_US - REQUEST_US_MAX
  const batches: Buffer[] = []
  let waiting: Buffer[] = []
  let size = 0
  let passed = 0
  for (let i = first; i < records; i += step) {
    const record = pool[i % pool.length]!
    const roundsUs = Math.floor((passed * step) / BYTES_PER_US)
    const value = movedTo(record, beganUs + roundsUs + record.startedUs)
    waiting.push(value)
    size += value.length
    passed += value.length
    if (size < BATCH_BYTES) continue
    batches.push(batchOf(waiting))
    waiting = []
    size = 0
  }
  if (waiting.length > 0) batches.push(batchOf(waiting))
  return batches
}

/** A batch of records without keys, appended now. */
export function batchOf(values: readonly Buffer[]): Buffer {
  const nowMs = Date.now()
  const records = values.map((value, i) => ({ value, offsetDelta: i, timestampDelta: 0 }))
  return writeBatch({
    ...{ records, firstTimestamp: nowMs, maxTimestamp: nowMs, lastOffsetDelta: values.length - 1 },
    ...{ producerId: -1, producerEpoch: -1, firstSequence: -1 },
    ...{ transactional: false, compression: 0 },
  }).buf
}
