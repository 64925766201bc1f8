import type { DeadLetter } from '../../schemas/records.ts'
import { DEAD_LETTERS } from '../../schemas/topics.ts'
import { valuesOf } from '../bus/batch.ts'
import { type Codec, HEADER_BYTES } from '../bus/codec.ts'
import type { Bus, LogRecord } from '../bus/port.ts'
import { readRanges, type Span } from '../bus/read-range.ts'
import { LensError } from '../core/errors.ts'
import { createOffsetSet, type OffsetSet } from './offset-set.ts'

/** What these commands need of the platform. */
export interface Parts {
  readonly bus: Bus
  readonly codec: Codec
}

/** Where output goes: text, or the exact bytes of a value. */
export type Write = (output: string | Uint8Array) => void

/** A dead letter, and the time at which it was written. */
export type FoundLetter = DeadLetter & { readonly writtenMs: number }

/** Of the record that a dead letter holds; undefined fits all. */
export interface LetterFilter {
  readonly topic?: string | undefined
  readonly reason?: string | undefined
}

type Visit = (letters: readonly FoundLetter[]) => void | Promise<void>

/**
 * Shows `visit` every dead letter that is there now, once and a batch at a time: nothing is kept,
 * and what is written meanwhile is left out. Resolves to the number of records that are no dead
 * letters; rejects with the first error of `visit`.
 */
export async function scanDeadLetters({ bus, codec }: Parts, visit: Visit): Promise<number> {
  let unreadable = 0
  await readRanges(bus, DEAD_LETTERS, await spansOf(bus), async (_, records) => {
    await codec.prepare(DEAD_LETTERS, valuesOf(records))
    const letters = records.map((record) => readLetter(codec, record))
    const readable = letters.filter((letter) => letter !== null)
    unreadable += letters.length - readable.length
    await visit(readable)
  })
  return unreadable
}

/** By partition of lens.dead-letters, the offsets that are there now. */
async function spansOf(bus: Bus): Promise<Span[]> {
  const counts = await bus.partitionCounts([DEAD_LETTERS])
  if (!(DEAD_LETTERS in counts)) {
    const message = `there is no topic ${DEAD_LETTERS}; create it with: npm run lens -- topics`
    throw new LensError('topic_missing', message)
  }
  const ranges = await bus.offsets(DEAD_LETTERS)
  return ranges.map(({ first, end }) => ({ from: first, end }))
}

/** The codec refuses values over 1 MiB and a dead letter may be larger: it sees the header. */
function readLetter(codec: Codec, { value, appendMs }: LogRecord): FoundLetter | null {
  const reader = codec.readersOf(DEAD_LETTERS)(value?.subarray(0, HEADER_BYTES) ?? null)
  if (typeof reader === 'string') return null
  const result = reader.read(value!)
  return result.bad ? null : { ...(result.value as DeadLetter), writtenMs: appendMs }
}

/** Whether a dead letter fits a filter. */
export function fits({ topic, reason }: LetterFilter, letter: DeadLetter): boolean {
  return (topic ?? letter.topic) === letter.topic && (reason ?? letter.reason) === letter.reason
}

/** TOPIC-PARTITION-OFFSET of the record that a dead letter holds. */
export function placeOf({ topic, partition, offset }: DeadLetter): string {
  return `${topic}-${partition}-${offset}`
}

/** Reads TOPIC-PARTITION-OFFSET; throws LensError on anything else. */
export function parsePlace(text: string): string {
  const [, topic, partition, offset] = /^([\w.-]+)-(\d{1,9})-(\d{1,15})$/.exec(text) ?? []
  if (topic) return `${topic}-${Number(partition)}-${Number(offset)}`
  const message = `${JSON.stringify(text)} is no TOPIC-PARTITION-OFFSET; write lens.token-events-3-1041`
  throw new LensError('configuration_invalid', message)
}

/**
 * Says of every offset of a group whether it is the first time that it is asked for: a stage may
 * write a dead letter again after a crash.
 */
export function createFirstTime(): (group: string, offset: number) => boolean {
  const groups = new Map<string, OffsetSet>()
  return (group, offset) => {
    const offsets = groups.get(group) ?? createOffsetSet()
    groups.set(group, offsets)
    return offsets.add(offset)
  }
}

/** A time as text; the clocks of others may show what no date is. */
export function utc(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString()
}
