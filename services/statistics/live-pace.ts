import type { WindowPlan } from '../core/windows/hopping.ts'

/**
 * When results of open windows come: each time a sixtieth of the window has passed, so that those
 * of the longest, which cost the most and change the least, do not come with each of the shortest.
 * Ranges come once a second too, of all source partitions at about the same time: results come
 * right behind the last of them, not up to a second later.
 */
export interface LivePace {
  /** A source partition has brought what is new. */
  heard(source: string): void
  /** When there may be something to show again. */
  dueMs(): number
  /** The sizes of the windows that are due. */
  dueSizesMs(nowMs: number): readonly number[]
  /** Those were shown, in so many results. */
  shown(sizesMs: readonly number[], nowMs: number, results: number): void
}

/** What the partitions of one process share: until when they have taken its time. */
export interface LiveBudget {
  takenMs: number
}

/** Nobody has taken any. */
export function createLiveBudget(): LiveBudget {
  return { takenMs: Number.NEGATIVE_INFINITY }
}

/** Live results of one process: with more than so many a second, they come less often. */
const LIVE_PER_SECOND_MAX = 4_000

/** So much of the budget can be taken ahead: a round of all partitions comes at once. */
const BURST_MS = 1_000

/** A round is half a period early when all have been heard, and half a period late when not. */
const SLACK = 0.5

export interface LivePlan extends Pick<WindowPlan, 'sizesMs'> {
  readonly liveEveryMs: number
  /** Whose results they are: long windows have their turns in different rounds. */
  readonly partition: number
}

/** Nothing was shown yet. */
export function createLivePace(
  { sizesMs, liveEveryMs, partition }: LivePlan,
  budget: LiveBudget,
): LivePace {
  const shortestMs = Math.min(...sizesMs)
  const dueBySize = new Map<number, number>()
  const slackMs = liveEveryMs * SLACK
  let placeMs = Number.NEGATIVE_INFINITY
  let awaited: ReadonlySet<string> = new Set()
  let round = new Set<string>()

  function dueOf(sizeMs: number): number {
    return dueBySize.get(sizeMs) ?? Number.NEGATIVE_INFINITY
  }

  /** Counted from when it was due, so that a round that came early makes none come more often. */
  function nextDueMs(sizeMs: number, nowMs: number): number {
    const rounds = Math.floor(sizeMs / shortestMs)
    const last = dueBySize.get(sizeMs)
    if (last === undefined) return nowMs + liveEveryMs * (rounds - (partition % rounds))
    return Math.max(last, nowMs - slackMs) + liveEveryMs * rounds
  }

  function dueMs(): number {
    const isComplete = round.size > 0 && [...awaited].every((source) => round.has(source))
    return Math.max(dueOf(shortestMs) + (isComplete ? -slackMs : slackMs), placeMs)
  }

  return {
    heard: (source) => void round.add(source),
    dueMs,
    dueSizesMs(nowMs) {
      if (nowMs < dueMs()) return []
      return sizesMs.filter((sizeMs) => dueOf(sizeMs) - slackMs <= nowMs)
    },
    shown(sizes, nowMs, results) {
      for (const sizeMs of sizes) dueBySize.set(sizeMs, nextDueMs(sizeMs, nowMs))
      awaited = round
      round = new Set()
      // Whoever shows much takes a place behind the others.
      const costMs = (results / LIVE_PER_SECOND_MAX) * 1000
      budget.takenMs = Math.max(budget.takenMs, nowMs) + costMs
      placeMs = budget.takenMs - BURST_MS
    },
  }
}
