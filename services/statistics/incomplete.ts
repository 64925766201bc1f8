import type { WindowPlan } from '../core/windows/hopping.ts'
import { endsBetween, type SeriesState, type WindowEnd, windowKey } from './series-state.ts'

/**
 * Window ends from one to another, each a hop after the one before. Without sizes all of them: a
 * window of an old minute that nothing came into is not published, the larger ones around it are.
 */
export type Run = readonly [fromMs: number, toMs: number, ...sizesMs: number[]]

/** They go into the metadata of a commit, which Kafka bounds. */
const RUNS_MAX = 16

/** Windows that were published before every source partition had passed their end. */
export interface Incomplete {
  /** Whether a window that is published now is one; it is remembered then. */
  note(state: SeriesState, window: WindowEnd): boolean
  /** Every partition has passed `toMs`: what is whole by it becomes dirty. False when known. */
  advance(toMs: number): boolean
  /** Up to where nothing that was closed is incomplete; -Infinity before the first watermark. */
  wholeMs(): number
  /** Those of one series, in order; the latest runs when they are many. */
  runsOf(state: SeriesState, plan: WindowPlan): readonly Run[]
  noteRuns(state: SeriesState, plan: WindowPlan, runs: readonly Run[]): void
}

/** None yet. */
export function createIncomplete(): Incomplete {
  const bySeries = new Map<SeriesState, Map<string, WindowEnd>>()
  let whole = Number.NEGATIVE_INFINITY

  function note(state: SeriesState, window: WindowEnd): boolean {
    if (window.endMs <= whole) return false
    const own = bySeries.get(state) ?? new Map()
    bySeries.set(state, own.set(windowKey(window), window))
    return true
  }

  return {
    note,
    advance(toMs) {
      if (toMs <= whole) return false
      whole = toMs
      for (const [state, own] of bySeries) {
        for (const [key, window] of own) {
          if (window.endMs > toMs) continue
          state.dirty.set(key, window)
          own.delete(key)
        }
        if (own.size === 0) bySeries.delete(state)
      }
      return true
    },
    wholeMs: () => whole,
    runsOf(state, { hopMs, sizesMs }) {
      const byEnd = Map.groupBy(bySeries.get(state)?.values() ?? [], ({ endMs }) => endMs)
      const runs: [number, number, ...number[]][] = []
      for (const [endMs, windows] of [...byEnd].sort(([a], [b]) => a - b)) {
        const isAll = windows.length === sizesMs.length
        const sizes = isAll ? [] : windows.map(({ sizeMs }) => sizeMs).sort((a, b) => a - b)
        const last = runs.at(-1)
        const isNext = last?.[1] === endMs - hopMs && last.slice(2).join() === sizes.join()
        if (isNext) last[1] = endMs
        else runs.push([endMs, endMs, ...sizes])
      }
      return runs.slice(-RUNS_MAX)
    },
    noteRuns(state, plan, runs) {
      for (const [fromMs, toMs, ...some] of runs) {
        for (const endMs of endsBetween(plan, fromMs - plan.hopMs, toMs)) {
          for (const sizeMs of some.length > 0 ? some : plan.sizesMs) note(state, { sizeMs, endMs })
        }
      }
    },
  }
}
