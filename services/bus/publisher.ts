import type { DeadLetter } from '../../schemas/records.ts'
import { DEAD_LETTERS } from '../../schemas/topics.ts'
import { DEAD_LETTER_DETAILS, type DeadLetterReason } from '../core/dead-letter.ts'
import { partitionOf } from '../core/hash.ts'
import type { Output } from '../core/processor.ts'
import type { BrokerClock, Clock } from './clock.ts'
import type { Codec } from './codec.ts'
import { failpoint } from './failpoint.ts'
import type { Bus, LogRecord, NewRecord, Sink } from './port.ts'
import { type RetrySurroundings, retrying } from './retry.ts'

/** Encodes outputs and appends them, partition by partition, until they are acknowledged. */
export interface Publisher {
  publish(outputs: readonly Output[], how: RetrySurroundings): Promise<void>
  deadLetters(stage: string, bad: readonly BadRecord[], how: RetrySurroundings): Promise<void>
  close(): Promise<void>
}

/** A record that a stage could not process. */
export interface BadRecord {
  readonly topic: string
  readonly partition: number
  readonly record: LogRecord
  readonly reason: DeadLetterReason
}

interface PublisherParts {
  readonly bus: Bus
  readonly codec: Codec
  readonly clock: Clock
  readonly brokerClock: BrokerClock
  readonly log: (line: string) => void
}

/** Stays well below the smallest messageBytesMax of the table of topics. */
const APPEND_BYTES_MAX = 768 * 1024

/** Sends of one sink to one broker wait for one another: partitions take turns with so many. */
const SINKS = 4

/** A publisher with sinks of its own, each opened at the first use. */
export function createPublisher({ bus, codec, brokerClock }: PublisherParts): Publisher {
  const sinks = new Map<number, Promise<Sink>>()
  let counts: Readonly<Record<string, number>> | null = null

  function sinkOf(partition: number): Promise<Sink> {
    const place = partition % SINKS
    const sink =
      sinks.get(place) ??
      bus.sink().catch((error) => {
        sinks.delete(place)
        throw error
      })
    sinks.set(place, sink)
    return sink
  }

  /**
   * The outcome of a failed append is unknown and the append is done again: everything that a
   * stage publishes is either dropped by its reader as a repeat or an identical upsert.
   */
  async function appendAll(
    topic: string,
    partition: number,
    records: readonly NewRecord[],
    how: RetrySurroundings,
  ): Promise<void> {
    for (const part of chunksOf(records)) {
      const { appendMs } = await retrying(
        async () => (await sinkOf(partition)).append(topic, partition, part),
        how,
      )
      failpoint('mid-publish')
      if (appendMs !== null) brokerClock.observe(appendMs)
    }
  }

  async function publish(outputs: readonly Output[], how: RetrySurroundings): Promise<void> {
    const byPartition = new Map<
      string,
      { topic: string; partition: number; records: NewRecord[] }
    >()
    for (const { topic, partition, key, value } of outputs) {
      const place = `${topic}-${partition}`
      const group = byPartition.get(place) ?? { topic, partition, records: [] }
      byPartition.set(place, group)
      const bytes = value instanceof Uint8Array ? value : codec.encode(topic, value)
      group.records.push({ key, value: bytes })
    }
    await Promise.all(
      [...byPartition.values()].map((group) =>
        appendAll(group.topic, group.partition, group.records, how),
      ),
    )
  }

  return {
    publish,
    async deadLetters(stage, bad, how) {
      counts ??= await retrying(() => bus.partitionCounts([DEAD_LETTERS]), how)
      const partitions = counts[DEAD_LETTERS]!
      await publish(
        bad.map((record) => deadLetter(stage, record, partitions)),
        how,
      )
    },
    async close() {
      const opened = await Promise.all([...sinks.values()].map((sink) => sink.catch(() => null)))
      await Promise.all(opened.map((sink) => sink?.close()))
    },
  }
}

/** The broker measures a batch as it was compressed; a dead letter is not compressed. */
const DEAD_LETTER_BYTES_MAX = 4.5 * 1024 * 1024
const LEFT_OUT = 'its bytes are more than a dead letter holds, and are left where they are'

/** `seen_at` is the time of the append, so that a repeat is the identical record. */
function deadLetter(stage: string, bad: BadRecord, partitions: number): Output {
  const { topic, partition, record, reason } = bad
  const { batchFrom } = record
  const key = `${topic}-${partition}-${record.offset}`
  const bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0)
  const fits = bytes <= DEAD_LETTER_BYTES_MAX && batchFrom === undefined
  const detail = DEAD_LETTER_DETAILS[reason]
  const leftOut = batchFrom === undefined ? LEFT_OUT : `offsets ${batchFrom} to ${record.offset}`
  const value: DeadLetter = {
    topic,
    partition,
    offset: record.offset,
    stage,
    reason,
    detail: fits ? detail : `${detail}; ${leftOut}`,
    key: fits ? asBuffer(record.key) : null,
    value: fits ? asBuffer(record.value) : null,
    seen_at: record.appendMs,
  }
  return { topic: DEAD_LETTERS, partition: partitionOf(key, partitions), key, value }
}

function asBuffer(bytes: Uint8Array | null): Buffer | null {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Cuts records into appends of a bounded size; a larger single record goes alone. */
function chunksOf(records: readonly NewRecord[]): NewRecord[][] {
  const chunks: NewRecord[][] = []
  let size = Number.POSITIVE_INFINITY
  for (const record of records) {
    if (size + record.value.length > APPEND_BYTES_MAX) {
      chunks.push([])
      size = 0
    }
    chunks.at(-1)!.push(record)
    size += record.value.length
  }
  return chunks
}
