import type { WindowPlan } from '../core/windows/hopping.ts'

/**
 * When results of open windows come: each time a sixtieth of the window has passed, so that those
 * of the longest, which cost the most and change the least, do not come with each of the shortest.
 */
export interface LivePace {
  /** When there may be something to show again. */
  dueMs(): number
  /** The sizes of the windows that are due. */
  dueSizesMs(nowMs: number): readonly number[]
  /** Those were shown, in so many results. */
  shown(sizesMs: readonly number[], nowMs: number, results: number): void
}

/** What the partitions of one process share: from when on none of them has taken its time. */
export interface LiveBudget {
  freeMs: number
}

/** Nobody has taken any. */
export function createLiveBudget(): LiveBudget {
  return { freeMs: Number.NEGATIVE_INFINITY }
}

/** Live results of one process: with more than so many a second, they come less often. */
const LIVE_PER_SECOND_MAX = 4_000

/** Nothing was shown yet. */
export function createLivePace(
  { sizesMs, liveEveryMs }: Pick<WindowPlan, 'sizesMs'> & { readonly liveEveryMs: number },
  budget: LiveBudget,
): LivePace {
  const shortestMs = Math.min(...sizesMs)
  const dueBySize = new Map(sizesMs.map((sizeMs) => [sizeMs, Number.NEGATIVE_INFINITY]))
  let dueMs = Number.NEGATIVE_INFINITY
  return {
    dueMs: () => dueMs,
    dueSizesMs(nowMs) {
      if (nowMs < dueMs) return []
      return sizesMs.filter((sizeMs) => dueBySize.get(sizeMs)! <= nowMs)
    },
    shown(sizes, nowMs, results) {
      for (const sizeMs of sizes) {
        dueBySize.set(sizeMs, nowMs + (liveEveryMs * sizeMs) / shortestMs)
      }
      // Whoever shows much takes a place behind the others.
      dueMs = Math.max(Math.min(...dueBySize.values()), budget.freeMs)
      budget.freeMs = dueMs + (results / LIVE_PER_SECOND_MAX) * 1000
    },
  }
}
