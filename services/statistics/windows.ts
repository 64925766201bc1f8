import type { Aggregate, WindowSlice } from '../../schemas/records.ts'
import { firstEndAfter, lastUse, type WindowPlan } from '../core/windows/hopping.ts'
import { type Series, seriesOf } from '../core/windows/series.ts'
import {
  aggregateResult,
  createAggregate,
  mergeAggregate,
  mergeSlice,
  type SeriesAggregate,
} from '../core/windows/slice.ts'

/** What the windows of one partition are made by. */
export interface WindowsPolicy extends WindowPlan {
  /** How long after its end a window is still corrected by late data. */
  readonly latenessMs: number
  /** Whether the fleet's own series lives here: it has windows even when nothing happens. */
  readonly ownsFleet: boolean
  /** Since when it has had them, from the earlier owner of the partition; else -Infinity. */
  readonly fleetSinceMs: number
}

/** How far back, at most, windows without any request are made up for the silent fleet. */
export const ZERO_FILL_MAX_MS = 3_600_000

export interface WindowsCounts {
  count(
    name: 'late_slice' | 'too_late_slice' | 'too_late_request' | 'too_late_window',
    times: number,
  ): void
}

/** All series of one partition: slices in, windows out. */
export interface Windows {
  /** Counts the slices of one record; late ones make the closed windows that hold them dirty. */
  merge(record: WindowSlice, floorOffset: number): void
  /** Moves on to a watermark: corrections first, then the windows that have closed, by end. */
  advance(watermarkMs: number): Aggregate[]
  /** The open windows that end next, of the series that changed since the last call. */
  live(): Aggregate[]
  /** Event time up to which windows have been closed; -Infinity before the first watermark. */
  through(): number
  /** After a replay: what an earlier owner has closed is not closed again. */
  resume(throughMs: number): void
  fleetSince(): number
  /** The oldest offset that the slices still needed come from. */
  floorOffset(): number
  seriesCount(): number
}

interface SeriesState {
  readonly series: Series
  readonly slices: Map<number, SeriesAggregate>
  /** Highest revision of each window that may still be corrected, by `size/end`. */
  readonly revisions: Map<string, number>
  /** Windows to correct at the next step: size by `size/end`. */
  readonly dirty: Map<string, { sizeMs: number; endMs: number }>
  changed: boolean
}

/** The step in which the watermark is looked at: results change at these instants only. */
const STEP_MS = 10_000

/** No series yet. */
export function createWindows(policy: WindowsPolicy, counts: WindowsCounts): Windows {
  const { sizesMs, hopMs, latenessMs } = policy
  const all = new Map<string, SeriesState>()
  const floors = new Map<number, number>()
  let through = Number.NEGATIVE_INFINITY
  let fleetSince = policy.fleetSinceMs
  const fleet = policy.ownsFleet ? stateOf(seriesOf({})) : null

  function stateOf(series: Series): SeriesState {
    let state = all.get(series.key)
    if (!state) {
      const empty = { slices: new Map(), revisions: new Map(), dirty: new Map(), changed: false }
      state = { series, ...empty }
      all.set(series.key, state)
    }
    return state
  }

  function merge(record: WindowSlice, floorOffset: number): void {
    const state = stateOf(seriesOf(record.series!))
    for (const slice of record.slices) {
      if (lastUse(policy, slice.start) + latenessMs <= through) {
        counts.count('too_late_slice', 1)
        counts.count('too_late_request', slice.requests)
        continue
      }
      floors.set(slice.start, Math.min(floors.get(slice.start) ?? floorOffset, floorOffset))
      let target = state.slices.get(slice.start)
      if (!target) {
        target = createAggregate()
        state.slices.set(slice.start, target)
      }
      mergeSlice(target, slice)
      state.changed = true
      markLate(state, slice.start)
    }
  }

  function markLate(state: SeriesState, sliceMs: number): void {
    if (firstEndAfter(policy, sliceMs) > through) return
    counts.count('late_slice', 1)
    for (const sizeMs of sizesMs) {
      const first = firstEndAfter(policy, sliceMs)
      for (let endMs = first; endMs < first + sizeMs && endMs <= through; endMs += hopMs) {
        if (endMs + latenessMs <= through) counts.count('too_late_window', 1)
        else state.dirty.set(`${sizeMs}/${endMs}`, { sizeMs, endMs })
      }
    }
  }

  function result(state: SeriesState, sizeMs: number, endMs: number): Aggregate {
    const key = `${sizeMs}/${endMs}`
    const revision = (state.revisions.get(key) ?? unseenRevision(state, endMs)) + 1
    state.revisions.set(key, revision)
    return windowOf(state, { sizeMs, endMs, final: true, revision })
  }

  /** The silent fleet's windows of an earlier owner are not remembered, but were published. */
  function unseenRevision(state: SeriesState, endMs: number): number {
    return state === fleet && endMs > fleetSince && endMs <= through ? 0 : -1
  }

  function windowOf(
    state: SeriesState,
    window: { sizeMs: number; endMs: number; final: boolean; revision: number },
  ): Aggregate {
    const { sizeMs, endMs, final, revision } = window
    const total = createAggregate()
    for (const [startMs, slice] of state.slices) {
      if (startMs >= endMs - sizeMs && startMs < endMs) mergeAggregate(total, slice)
    }
    const startMs = endMs - sizeMs
    return aggregateResult({ series: state.series.labels, startMs, sizeMs, final, revision }, total)
  }

  function* corrections(): Iterable<Aggregate> {
    for (const state of all.values()) {
      const windows = [...state.dirty.values()].sort(
        (a, b) => a.endMs - b.endMs || a.sizeMs - b.sizeMs,
      )
      for (const { sizeMs, endMs } of windows) yield result(state, sizeMs, endMs)
      state.dirty.clear()
    }
  }

  /** Window ends in (after, to] at which a series has results: while any slice is in a window. */
  function endsOf(state: SeriesState, after: number, to: number): Set<number> {
    const ends = new Set<number>()
    const add = (instant: number, last: number) => {
      for (let end = firstEndAfter(policy, instant); end <= last; end += hopMs) ends.add(end)
    }
    for (const sliceMs of state.slices.keys()) {
      add(Math.max(sliceMs, after), Math.min(lastUse(policy, sliceMs), to))
    }
    if (state === fleet && Number.isFinite(after)) {
      add(Math.max(after, to - ZERO_FILL_MAX_MS), to)
    }
    return ends
  }

  function* closed(after: number, to: number): Iterable<Aggregate> {
    const due: { state: SeriesState; endMs: number }[] = []
    for (const state of all.values()) {
      for (const endMs of endsOf(state, after, to)) due.push({ state, endMs })
    }
    due.sort((a, b) => a.endMs - b.endMs)
    for (const { state, endMs } of due) {
      for (const sizeMs of sizesMs) yield result(state, sizeMs, endMs)
    }
  }

  /** Lets go of everything that no window within the allowed lateness holds. */
  function expire(): void {
    const isOver = (sliceMs: number) => lastUse(policy, sliceMs) + latenessMs <= through
    for (const sliceMs of floors.keys()) if (isOver(sliceMs)) floors.delete(sliceMs)
    for (const [key, state] of all) {
      for (const sliceMs of state.slices.keys()) if (isOver(sliceMs)) state.slices.delete(sliceMs)
      for (const window of state.revisions.keys()) {
        const endMs = Number(window.slice(window.indexOf('/') + 1))
        if (endMs + latenessMs <= through) state.revisions.delete(window)
      }
      if (state.slices.size === 0 && state !== fleet) all.delete(key)
    }
  }

  return {
    merge,
    advance(watermarkMs) {
      const to = Math.floor(watermarkMs / STEP_MS) * STEP_MS
      if (!(to > through)) return []
      const results = [...corrections(), ...closed(through, to)]
      if (!Number.isFinite(fleetSince)) fleetSince = to
      through = to
      expire()
      return results
    },
    live() {
      const newest = Math.max(...floors.keys())
      const endMs = firstEndAfter(policy, Number.isFinite(through) ? through : newest)
      const changed = [...all.values()].filter((state) => state.changed)
      return changed.flatMap((state) => {
        state.changed = false
        return sizesMs.map((sizeMs) =>
          windowOf(state, { sizeMs, endMs, final: false, revision: 0 }),
        )
      })
    },
    through: () => through,
    resume(throughMs) {
      through = Math.max(through, throughMs)
      if (Number.isFinite(through)) expire()
    },
    fleetSince: () => fleetSince,
    floorOffset: () => Math.min(...floors.values()),
    seriesCount: () => all.size,
  }
}
