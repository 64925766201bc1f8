import type { WindowPlan } from '../core/windows/hopping.ts'

/**
 * When results of open windows come: each time a sixtieth of the window has passed, so that those
 * of the longest, which cost the most and change the least, do not come with each of the shortest.
 * Ranges come once a second too, of all source partitions at about the same time: results come
 * right behind the last of them, not up to a second later.
 */
export interface LivePace {
  /** A source partition has brought what is new, at this time. */
  heard(source: string, nowMs: number): void
  /** When there may be something to show again. */
  dueMs(): number
  /** The sizes of the windows that are due. */
  dueSizesMs(nowMs: number): readonly number[]
  /** Those were shown, in so many results. */
  shown(sizesMs: readonly number[], nowMs: number, results: number): void
}

/** What the partitions of one process share. */
export interface LiveBudget {
  /** Until when they have taken its time. */
  takenMs: number
  /** How many there have been: long windows have their turns in different rounds. */
  partitions: number
}

/** Nobody has taken any. */
export function createLiveBudget(): LiveBudget {
  return { takenMs: Number.NEGATIVE_INFINITY, partitions: 0 }
}

/** Live results of one process: with more than so many a second, they come less often. */
const LIVE_PER_SECOND_MAX = 4_000

/** So much of the budget can be taken ahead: a round of all partitions comes at once. */
const BURST_MS = 1_000

/** A round is half a period early when all have been heard, and half a period late when not. */
const SLACK = 0.5

/** Ranges of one round come within so much of a period, also where processors are short. */
const SPREAD = 0.75

export interface LivePlan extends Pick<WindowPlan, 'sizesMs'> {
  readonly liveEveryMs: number
}

const NOBODY: ReadonlyMap<string, number> = new Map()

/** Nothing was shown yet. */
export function createLivePace({ sizesMs, liveEveryMs }: LivePlan, budget: LiveBudget): LivePace {
  const shortestMs = Math.min(...sizesMs)
  const dueBySize = new Map<number, number>()
  const slackMs = liveEveryMs * SLACK
  const turn = budget.partitions++
  let placeMs = Number.NEGATIVE_INFINITY
  /** When each source was last heard in the round that is on, and in the two before. */
  let [round, last, beforeLast] = [new Map<string, number>(), NOBODY, NOBODY]

  function dueOf(sizeMs: number): number {
    return dueBySize.get(sizeMs) ?? Number.NEGATIVE_INFINITY
  }

  /**
   * Counted from when it was due, so that a round that came early makes none come more often. The
   * shortest is sooner by the time that this round had to wait for its turn: the next need not.
   */
  function nextDueMs(sizeMs: number, nowMs: number): number {
    const rounds = Math.floor(sizeMs / shortestMs)
    const wasDueMs = dueBySize.get(sizeMs)
    if (wasDueMs === undefined) return nowMs + liveEveryMs * (rounds - (turn % rounds))
    const nextMs = Math.max(wasDueMs, nowMs - slackMs) + liveEveryMs * rounds
    if (sizeMs > shortestMs) return nextMs
    return nextMs - Math.min(slackMs, Math.max(0, wasDueMs - slackMs - newestMs()))
  }

  /** Infinity when nobody has been heard. */
  function newestMs(): number {
    return round.size === 0 ? Number.POSITIVE_INFINITY : Math.max(...round.values())
  }

  /**
   * Whether all have been heard that come in every round; not long ago, since one that was late for
   * its round is no part of the next.
   */
  function isComplete(): boolean {
    const sinceMs = newestMs() - liveEveryMs * SPREAD
    for (const source of last.keys()) {
      if (beforeLast.has(source) && !(round.get(source)! >= sinceMs)) return false
    }
    return round.size > 0
  }

  function dueMs(): number {
    return Math.max(dueOf(shortestMs) + (isComplete() ? -slackMs : slackMs), placeMs)
  }

  return {
    heard: (source, nowMs) => void round.set(source, nowMs),
    dueMs,
    dueSizesMs(nowMs) {
      if (nowMs < dueMs()) return []
      return sizesMs.filter((sizeMs) => dueOf(sizeMs) - slackMs <= nowMs)
    },
    shown(sizes, nowMs, results) {
      for (const sizeMs of sizes) dueBySize.set(sizeMs, nextDueMs(sizeMs, nowMs))
      beforeLast = last
      last = round
      round = new Map()
      // Whoever shows much takes a place behind the others.
      const costMs = (results / LIVE_PER_SECOND_MAX) * 1000
      budget.takenMs = Math.max(budget.takenMs, nowMs) + costMs
      placeMs = budget.takenMs - BURST_MS
    },
  }
}
