/** Token runs as the decoder makes them, and what folding them gives, in a form to compare. */
import type { Slice, TokenEvents } from '../../../../schemas/records.ts'
import { MEASURES } from '../../../../services/core/measure/measures.ts'
import type { TokenRun } from '../../../../services/core/measure/token-run.ts'
import { foldRun } from '../../../../services/core/windows/fold.ts'
import { createAggregate, type SeriesAggregate } from '../../../../services/core/windows/slice.ts'
import { NOON_MS, sliceRecord } from '../../../records.ts'

/** The decoder's arrays are reused, and longer than the record: the rest is of an earlier one. */
const BEHIND = [777_777, 888_888]

/** The run of a record. */
export function tokenRun(record: TokenEvents): TokenRun {
  return {
    labels: record,
    startedAtUs: record.started_at,
    firstChunk: record.first_chunk,
    elapsedUs: record.elapsed_us,
    lastUs: record.gaps_us.reduce((sum, gap) => sum + gap, record.elapsed_us),
    chunks: record.gaps_us.length,
    gapsUs: Int32Array.from([...record.gaps_us, ...BEHIND]),
    hasTokens: record.tokens.length > 0,
    tokens: Int32Array.from([...record.tokens, ...BEHIND]),
    end: record.end,
  }
}

/** The slices of the records, folded one after the other, by start. */
export function foldAll(records: readonly TokenEvents[]): Map<number, SeriesAggregate> {
  const slices = new Map<number, SeriesAggregate>()
  for (const record of records) {
    foldRun(tokenRun(record), (startMs) => {
      const slice = slices.get(startMs) ?? createAggregate()
      slices.set(startMs, slice)
      return slice
    })
  }
  return slices
}

/** The encoded slices of the records, by start. */
export function encodedSlices(records: readonly TokenEvents[]): Slice[] {
  return [...foldAll(records)]
    .sort(([a], [b]) => a - b)
    .map(([startMs, slice]) => sliceRecord(startMs, slice))
}

/** Count, sum, minimum and maximum of a measure in a slice. */
export type Summary = readonly [count: number, sum: number, min: number, max: number]

/** What a slice holds, without what is zero or empty. */
export type Seen = Readonly<Record<string, number | Summary | Readonly<Record<string, number>>>>

/** What is seen in each slice of the records, by seconds after noon. */
export function seenIn(...records: readonly TokenEvents[]): Record<number, Seen> {
  return Object.fromEntries(
    encodedSlices(records).map(({ start, metrics, ...slice }) => {
      const counts = Object.entries(slice).filter(([, value]) =>
        typeof value === 'object' ? Object.keys(value).length > 0 : value !== 0,
      )
      const summaries = metrics.map(({ id, count, sum_low, min, max }) => [
        MEASURES[id]!.name,
        [count, sum_low, min, max],
      ])
      return [(start - NOON_MS) / 1000, Object.fromEntries([...counts, ...summaries])]
    }),
  )
}
