import { clearAggregate, createAggregate, type SeriesAggregate } from '../core/windows/slice.ts'

/** Aggregates that ranges take and give back, so that the room they have is used again. */
export interface AggregatePool {
  take(): SeriesAggregate
  /** What was made of them must have been copied. */
  giveBack(taken: readonly SeriesAggregate[]): void
}

/** What is kept, 130 MB at most; others are left to the collector. */
const FREE_MAX = 8_192
const BUCKETS_MAX = 2_048

/** Nothing yet. */
export function createAggregatePool(): AggregatePool {
  const free: SeriesAggregate[] = []
  return {
    take: () => free.pop() ?? createAggregate(),
    giveBack(taken) {
      for (const one of taken) {
        if (free.length >= FREE_MAX) return
        if (bucketsOf(one) > BUCKETS_MAX) continue
        clearAggregate(one)
        free.push(one)
      }
    },
  }
}

function bucketsOf({ metrics }: SeriesAggregate): number {
  return metrics.reduce((sum, metric) => sum + (metric?.counts.length ?? 0), 0)
}
