/** What a lane does with the records of a batch: decode them, or ask for those before them. */
import type { Decoded } from '../core/processor.ts'
import type { Decoder } from './codec.ts'
import type { StageHealth } from './health.ts'
import type { Bus, LogRecord, RecordBatch, Source } from './port.ts'
import type { BadRecord } from './publisher.ts'
import { type RetrySurroundings, retrying } from './retry.ts'

interface Surroundings {
  readonly bus: Bus
  readonly source: Source
  readonly health: StageHealth
  readonly log: (line: string) => void
}

/** The bytes of the records. */
export function valuesOf(records: readonly LogRecord[]) {
  return records.map((record) => record.value)
}

/**
 * Asks again, after a batch that begins later than `position`, for what lies before it: a client
 * can deliver what it fetched before a seek. What the log has lost meanwhile is counted.
 */
export async function askAgain(
  { topic, partition, from }: RecordBatch,
  position: number,
  { bus, source, health, log }: Surroundings,
  how: RetrySurroundings,
): Promise<number> {
  const { first } = (await retrying(() => bus.offsets(topic), how))[partition]!
  const again = Math.max(position, first)
  health.missing(again - position)
  log(`${topic}-${partition}: given ${from}, asked again for ${again}`)
  source.seek(topic, partition, again)
  return again
}

/**
 * Decodes one record after the other, as they are taken, into one object that is used again; the
 * bad ones also go to `bad`.
 */
export function decodeAll(
  { topic, partition, records }: RecordBatch,
  decode: Decoder,
  bad: BadRecord[],
): Iterable<Decoded> {
  let i = 0
  const value: Reused<Decoded> = { offset: 0, appendMs: 0, value: undefined, bad: null }
  const taken = { done: false, value }
  const next = (): IteratorResult<Decoded> => {
    if (i >= records.length) return { done: true, value: undefined }
    const record = records[i++]!
    const result = decode(record.value, record.appendMs)
    if (result.bad) bad.push({ topic, partition, record, reason: result.bad })
    value.offset = record.offset
    value.appendMs = record.appendMs
    value.value = result.value
    value.bad = result.bad
    return taken
  }
  return { [Symbol.iterator]: () => ({ next }) }
}

type Reused<T> = { -readonly [K in keyof T]: T[K] }
