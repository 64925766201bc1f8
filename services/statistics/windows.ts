import type { Aggregate, WindowSlice } from '../../schemas/records.ts'
import { least } from '../core/extremes.ts'
import { firstEndAfter, lastUse, type WindowPlan } from '../core/windows/hopping.ts'
import { type Series, seriesOf } from '../core/windows/series.ts'
import { mergeSlice } from '../core/windows/slice.ts'
import type { Lateness, SourceWatermarks } from '../core/windows/watermark.ts'
import { createIncomplete, type Incomplete, type Run } from './incomplete.ts'
import { openPane, packPanes, paneStart } from './panes.ts'
import {
  closedWindowsOf,
  createSeriesState,
  endsBetween,
  expireSeries,
  resultEnds,
  type SeriesState,
  type Settled,
  takeDirty,
  type WindowEnd,
  windowKey,
  windowResults,
} from './series-state.ts'

/** What the windows of one partition are made by. */
export interface WindowsPolicy extends WindowPlan {
  /** How long after its end a window is still corrected by late data. */
  readonly latenessMs: number
  /** Whether the fleet's own series lives here: it has windows even when nothing happens. */
  readonly ownsFleet: boolean
  /** Since when it has had them, from the earlier owner of the partition; else -Infinity. */
  readonly fleetSinceMs: number
  /** What is over by now: as late as the earlier owner of the partition was; else -Infinity. */
  readonly lateMs: number
}

/** How far back, at most, windows without any request are made up for the silent fleet. */
const ZERO_FILL_MAX_MS = 3_600_000

export interface WindowsCounts {
  count(
    name: 'late_slice' | 'too_late_slice' | 'too_late_request' | 'too_late_window',
    times: number,
  ): void
}

/** How far time has come. */
export type Progress = Pick<SourceWatermarks, 'closed' | 'whole' | 'passed'> &
  Pick<Lateness, 'late'>

/** What an earlier owner has closed. */
export interface Resumption {
  readonly throughMs: number
  readonly wholeMs: number
  readonly fleetIncomplete: readonly Run[]
}

/** All series of one partition: slices in, windows out. */
export interface Windows {
  /** Counts the slices of one record; late ones make the closed windows that hold them dirty. */
  merge(record: WindowSlice, floorOffset: number): void
  /**
   * Moves on to the watermarks: corrections first, and what is no longer incomplete, then the
   * windows that have closed, by end. Made one by one as they are taken; all must be taken before
   * anything else is done.
   */
  advance(to: Progress): Iterable<Aggregate>
  /** The open windows that are the first to hold what has changed since the last call. */
  live(): Iterable<Aggregate>
  /** Event time up to which windows have been closed; -Infinity before the first watermark. */
  through(): number
  wholeMs: Incomplete['wholeMs']
  /** After a replay: what an earlier owner has closed is not closed again. */
  resume(from: Resumption): void
  fleetSince(): number
  /** For the next owner: nothing in the log says that a silent fleet's windows were published. */
  fleetIncomplete(): readonly Run[]
  /** The oldest offset that the slices still needed come from. */
  floorOffset(): number
  seriesCount(): number
}

/** The step in which the watermark is looked at: results change at these instants only. */
const STEP_MS = 10_000

function step(ms: number): number {
  return Math.floor(ms / STEP_MS) * STEP_MS
}

const OPEN = { final: false, revision: 0 }

/** No series yet. */
export function createWindows(policy: WindowsPolicy, counts: WindowsCounts): Windows {
  const all = new Map<string, SeriesState>()
  const floors = new Map<number, number>()
  const incomplete = createIncomplete()
  let through = Number.NEGATIVE_INFINITY
  let passedThrough = Number.NEGATIVE_INFINITY
  let lateThrough = step(policy.lateMs)
  let fleetSince = policy.fleetSinceMs
  const fleet = policy.ownsFleet ? stateOf(seriesOf({})) : null

  function stateOf(series: Series): SeriesState {
    let state = all.get(series.key)
    if (!state) {
      state = createSeriesState(series)
      all.set(series.key, state)
    }
    return state
  }

  function isOver(endMs: number): boolean {
    return endMs + policy.latenessMs <= lateThrough
  }

  function merge(record: WindowSlice, floorOffset: number): void {
    const series = seriesOf(record.series!)
    for (const slice of record.slices) {
      if (isOver(lastUse(policy, slice.start))) {
        counts.count('too_late_slice', 1)
        counts.count('too_late_request', slice.requests)
        continue
      }
      const state = stateOf(series)
      floors.set(slice.start, Math.min(floors.get(slice.start) ?? floorOffset, floorOffset))
      mergeSlice(openPane(state.panes, paneStart(policy, slice.start)), slice)
      const firstEndMs = firstEndAfter(policy, slice.start)
      state.changed.add(firstEndMs)
      if (firstEndMs <= through) counts.count('late_slice', 1)
      for (const window of closedWindowsOf(policy, slice.start, through)) {
        if (isOver(window.endMs)) counts.count('too_late_window', 1)
        else state.dirty.set(windowKey(window), window)
      }
    }
  }

  function publish(state: SeriesState, endMs: number, plan: WindowPlan): Iterable<Aggregate> {
    return windowResults(state, plan, endMs, (window) => settle(state, window))
  }

  function settle(state: SeriesState, window: WindowEnd): Settled {
    const key = windowKey(window)
    const revision = (state.revisions.get(key) ?? unseenRevision(state, window.endMs)) + 1
    state.revisions.set(key, revision)
    return { final: true, revision, incomplete: incomplete.note(state, window) }
  }

  /** The silent fleet's windows of an earlier owner are not remembered, but were published. */
  function unseenRevision(state: SeriesState, endMs: number): number {
    return state === fleet && endMs > fleetSince && endMs <= through ? 0 : -1
  }

  /** The dirty windows that end by `to`. */
  function* corrections(to: number): Iterable<Aggregate> {
    for (const state of all.values()) {
      for (const { endMs, sizeMs } of takeDirty(state, to)) {
        yield* publish(state, endMs, { ...policy, sizesMs: [sizeMs] })
      }
    }
  }

  function* closings(to: number): Iterable<Aggregate> {
    const due: { state: SeriesState; endMs: number }[] = []
    for (const state of all.values()) {
      const ends = resultEnds(policy, state, through, to)
      const isFleet = state === fleet && Number.isFinite(through)
      for (const endMs of isFleet ? fleetEnds(policy, through, to) : []) ends.add(endMs)
      for (const endMs of ends) due.push({ state, endMs })
    }
    due.sort((a, b) => a.endMs - b.endMs)
    for (const { state, endMs } of due) yield* publish(state, endMs, policy)
    for (const { panes } of all.values()) packPanes(panes, policy, to)
  }

  /** Lets go of everything that no window within the allowed lateness needs. */
  function expire(): void {
    const isSliceOver = (sliceMs: number) => isOver(lastUse(policy, sliceMs))
    for (const sliceMs of floors.keys()) if (isSliceOver(sliceMs)) floors.delete(sliceMs)
    for (const [key, state] of all) {
      expireSeries(state, isSliceOver, isOver)
      if (state.panes.size === 0 && state !== fleet) all.delete(key)
    }
  }

  return {
    merge,
    *advance({ closed, whole, passed, late }) {
      const to = step(closed)
      const isWhole = incomplete.advance(step(whole))
      // After a silence the clock has closed what a backfill then fills: its windows are corrected
      // when its own events have passed them, all of them when the clock moves on again.
      const isPassed = step(passed) > passedThrough
      if (to > through || isPassed || isWhole) {
        yield* corrections(to > through ? to : isPassed ? step(passed) : incomplete.wholeMs())
        passedThrough = step(passed)
      }
      if (to > through) {
        yield* closings(to)
        if (!Number.isFinite(fleetSince)) fleetSince = to
        through = to
      }
      if (step(late) > lateThrough) {
        lateThrough = step(late)
        // Corrections that are still due need what is let go of now.
        yield* corrections(lateThrough - policy.latenessMs)
        expire()
      }
    },
    *live() {
      const nextMs = firstEndAfter(policy, through)
      for (const state of all.values()) {
        const ends = new Set([...state.changed].map((endMs) => Math.max(endMs, nextMs)))
        state.changed.clear()
        for (const endMs of ends) yield* windowResults(state, policy, endMs, () => OPEN)
      }
    },
    through: () => through,
    wholeMs: incomplete.wholeMs,
    resume({ throughMs, wholeMs, fleetIncomplete }) {
      through = Math.max(through, throughMs)
      incomplete.advance(wholeMs)
      if (fleet) incomplete.noteRuns(fleet, policy, fleetIncomplete)
    },
    fleetSince: () => fleetSince,
    fleetIncomplete: () => (fleet ? incomplete.runsOf(fleet, policy) : []),
    floorOffset: () => least(floors.values()),
    seriesCount: () => all.size,
  }
}

/** The ends in (after, to] at which the fleet has results, whatever happens in it. */
function fleetEnds(plan: WindowPlan, after: number, to: number): Iterable<number> {
  return endsBetween(plan, Math.max(after, to - ZERO_FILL_MAX_MS), to)
}
