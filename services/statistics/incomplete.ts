import { type SeriesState, type WindowEnd, windowKey } from './series-state.ts'

/** Windows that were published before every source partition had passed their end. */
export interface Incomplete {
  /** Whether a window that is published now is one; it is remembered then. */
  note(state: SeriesState, window: WindowEnd): boolean
  /** Every partition has passed `toMs`: what is whole by it becomes dirty. False when known. */
  advance(toMs: number): boolean
  /** Up to where nothing that was closed is incomplete; -Infinity before the first watermark. */
  wholeMs(): number
}

/** None yet. */
export function createIncomplete(): Incomplete {
  const all = new Map<string, readonly [SeriesState, WindowEnd]>()
  let whole = Number.NEGATIVE_INFINITY
  return {
    note(state, window) {
      const isIncomplete = window.endMs > whole
      if (isIncomplete) all.set(`${state.series.key} ${windowKey(window)}`, [state, window])
      return isIncomplete
    },
    advance(toMs) {
      if (toMs <= whole) return false
      whole = toMs
      for (const [name, [state, window]] of all) {
        if (window.endMs > toMs) continue
        state.dirty.set(windowKey(window), window)
        all.delete(name)
      }
      return true
    },
    wholeMs: () => whole,
  }
}
