import type { Aggregate } from '../../schemas/records.ts'
import { least } from '../core/extremes.ts'
import { firstEndAfter, lastUse, type WindowPlan } from '../core/windows/hopping.ts'
import { type Series, seriesOf } from '../core/windows/series.ts'
import type { MergeSlices, SliceRecord } from '../core/windows/slice-record.ts'
import type { Lateness, SourceWatermarks } from '../core/windows/watermark.ts'
import { createIncomplete, type Incomplete, type Run } from './incomplete.ts'
import { openPane, packPanes, paneStart } from './panes.ts'
import {
  createSeriesState,
  ended,
  endsBetween,
  expireSeries,
  liveResults,
  markLate,
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

export interface WindowsParts {
  readonly mergeSlices: MergeSlices
  count(
    name: 'late_slice' | 'too_late_slice' | 'too_late_request' | 'too_late_window',
    times: number,
    series: string,
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
  /** Counts the slices of one record; closed windows that hold late ones will be corrected. */
  merge(record: SliceRecord, floorOffset: number): void
  /**
   * Moves on to the watermarks: corrections first, and what is no longer incomplete, then the
   * windows that have closed, by end. Made one by one as they are taken; all must be taken before
   * anything else is done.
   */
  advance(to: Progress): Iterable<Aggregate>
  /**
   * The open windows of these sizes that are the first to hold what has changed since they were
   * asked for last.
   */
  live(sizesMs: readonly number[]): Iterable<Aggregate>
  /** Event time up to which windows have been closed; -Infinity before the first watermark. */
  through(): number
  wholeMs: Incomplete['wholeMs']
  /**
   * Ends the replay, in which nothing is given out: what an earlier owner has closed is closed. To
   * be called once, before the first record that is not replayed.
   */
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

/** No series yet. */
export function createWindows(policy: WindowsPolicy, parts: WindowsParts): Windows {
  const all = new Map<string, SeriesState>()
  const floors = new Map<number, number>()
  const incomplete = createIncomplete()
  let through = Number.NEGATIVE_INFINITY
  let passedThrough = Number.NEGATIVE_INFINITY
  let overThrough = step(policy.lateMs) - policy.latenessMs
  let fleetSince = policy.fleetSinceMs
  let isResumed = false
  const fleet = policy.ownsFleet ? stateOf(all, seriesOf({})) : null

  const isOver = (endMs: number) => endMs <= overThrough

  function publish(state: SeriesState, endMs: number, plan: WindowPlan): Iterable<Aggregate> {
    if (isResumed) return windowResults(state, plan, endMs, (window) => settle(state, window))
    for (const sizeMs of plan.sizesMs) settle(state, { sizeMs, endMs })
    return []
  }

  function settle(state: SeriesState, window: WindowEnd): Settled {
    const key = windowKey(window)
    // The silent fleet's windows of an earlier owner are not remembered, but were published.
    const isUnseen = state === fleet && window.endMs > fleetSince && window.endMs <= through
    const revision = (state.revisions.get(key) ?? (isUnseen ? 0 : -1)) + 1
    state.revisions.set(key, revision)
    return { final: true, revision, incomplete: incomplete.note(state, window) }
  }

  /** The dirty windows that end by `to`. */
  function* corrections(to: number): Iterable<Aggregate> {
    for (const state of all.values()) {
      markLate(state, policy, overThrough, through)
      for (const { endMs, sizeMs } of takeDirty(state, to)) {
        yield* publish(state, endMs, { ...policy, sizesMs: [sizeMs] })
      }
    }
  }

  function* closings(to: number): Iterable<Aggregate> {
    const due = [...all.values()].flatMap((state) => {
      const ends = endsOf(policy, state, through, to, state === fleet)
      return [...ends].map((endMs) => ({ state, endMs }))
    })
    due.sort((a, b) => a.endMs - b.endMs)
    for (const { state, endMs } of due) yield* publish(state, endMs, policy)
    for (const { panes } of all.values()) packPanes(panes, policy, through, to)
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
    merge(record, floorOffset) {
      const series = record.series!
      parts.mergeSlices(record, (startMs, requests) => {
        if (isOver(lastUse(policy, startMs))) {
          parts.count('too_late_slice', 1, series.key)
          parts.count('too_late_request', requests, series.key)
          return null
        }
        const state = stateOf(all, series)
        floors.set(startMs, Math.min(floors.get(startMs) ?? floorOffset, floorOffset))
        const firstEndMs = firstEndAfter(policy, startMs)
        state.changed.set(firstEndMs, policy.sizesMs)
        if (firstEndMs <= through) {
          state.late.add(firstEndMs)
          parts.count('late_slice', 1, series.key)
          const over = Math.min(through, overThrough)
          const missed = firstEndMs <= over ? ended(policy, firstEndMs, over) : 0
          parts.count('too_late_window', missed, series.key)
        }
        return openPane(state.panes, paneStart(policy, startMs))
      })
    },
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
      const over = step(late) - policy.latenessMs
      if (over > overThrough) {
        // Corrections that are still due need what is let go of now.
        yield* corrections(over)
        overThrough = over
        expire()
      }
    },
    *live(sizesMs) {
      const nextMs = firstEndAfter(policy, through)
      for (const state of all.values()) yield* liveResults(state, policy, nextMs, sizesMs)
    },
    through: () => through,
    wholeMs: incomplete.wholeMs,
    resume({ throughMs, wholeMs, fleetIncomplete }) {
      for (const state of all.values()) {
        markLate(state, policy, overThrough, through)
        // What has changed until now was shown live before.
        state.changed.clear()
      }
      through = Math.max(through, throughMs)
      incomplete.advance(wholeMs)
      if (fleet) incomplete.noteRuns(fleet, policy, fleetIncomplete)
      isResumed = true
    },
    fleetSince: () => fleetSince,
    fleetIncomplete: () => (fleet ? incomplete.runsOf(fleet, policy) : []),
    floorOffset: () => least(floors.values()),
    seriesCount: () => all.size,
  }
}

/** The state of a series, made when it is not there. */
function stateOf(all: Map<string, SeriesState>, series: Series): SeriesState {
  let state = all.get(series.key)
  if (!state) {
    state = createSeriesState(series)
    all.set(series.key, state)
  }
  return state
}

/** The ends in (after, to] at which a series has results; the fleet has, whatever happens in it. */
function endsOf(
  plan: WindowPlan,
  state: SeriesState,
  after: number,
  to: number,
  isFleet: boolean,
): Set<number> {
  const ends = resultEnds(plan, state, after, to)
  if (!isFleet || !Number.isFinite(after)) return ends
  for (const endMs of endsBetween(plan, Math.max(after, to - ZERO_FILL_MAX_MS), to)) ends.add(endMs)
  return ends
}
