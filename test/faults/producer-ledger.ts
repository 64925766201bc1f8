/** What became of each record of a sink, by the number that it holds as a text. */
import type { NewRecord, Sink } from '../../services/bus/port.ts'
import type { LensError } from '../../services/core/errors.ts'

export interface Ledger {
  /** Also by an answer that came after the sender had given up. */
  readonly acknowledged: ReadonlySet<number>
  /** Of sends that failed with an unknown outcome, or that were never heard of again. */
  readonly unknown: ReadonlySet<number>
  /** The slowest acknowledged append. */
  readonly slowestMs: number
  /** The same sink; what passes is written down. */
  watch(sink: Sink): Sink
}

/** An empty one. */
export function createLedger(): Ledger {
  const acknowledged = new Set<number>()
  const unknown = new Set<number>()
  let slowestMs = 0
  const numbers = (records: readonly NewRecord[]) =>
    records.map(({ value }) => Number(Buffer.from(value).toString()))
  return {
    acknowledged,
    unknown,
    get slowestMs() {
      return slowestMs
    },
    watch: (sink) => ({
      async append(topic, partition, records, signal) {
        const startedMs = performance.now()
        for (const n of numbers(records)) unknown.add(n)
        try {
          const appended = await sink.append(topic, partition, records, signal)
          for (const n of numbers(records)) {
            unknown.delete(n)
            acknowledged.add(n)
          }
          slowestMs = Math.max(slowestMs, Math.round(performance.now() - startedMs))
          return appended
        } catch (error) {
          const isUnknown = (error as LensError).code === 'send_outcome_unknown'
          if (!isUnknown) for (const n of numbers(records)) unknown.delete(n)
          throw error
        }
      },
      close: () => sink.close(),
    }),
  }
}

/** How many numbers are there that have been there before. */
export function duplicatesIn(log: readonly number[]): number {
  return log.length - new Set(log).size
}

/** How often a number is followed by a smaller one. */
export function fallsIn(lane: readonly number[]): number {
  return lane.filter((n, i) => i > 0 && n < lane[i - 1]!).length
}
