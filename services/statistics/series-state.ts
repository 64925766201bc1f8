import type { Aggregate } from '../../schemas/records.ts'
import { firstEndAfter, lastUse, type WindowPlan } from '../core/windows/hopping.ts'
import { aggregateResult, type WindowResult } from '../core/windows/result.ts'
import type { Series } from '../core/windows/series.ts'
import { type Panes, windowSums } from './panes.ts'

/** A window, named by its end. */
export interface WindowEnd {
  readonly sizeMs: number
  readonly endMs: number
}

/** One series: its panes that are still needed, and what of it has been published. */
export interface SeriesState {
  readonly series: Series
  readonly panes: Panes
  /** Highest published revision of each window that may still be corrected, by windowKey. */
  readonly revisions: Map<string, number>
  /** Windows to correct at the next step, by windowKey. */
  readonly dirty: Map<string, WindowEnd>
  /** Ends of the minutes that something was counted in since the last live results. */
  readonly changed: Set<number>
}

/** A series without panes. */
export function createSeriesState(series: Series): SeriesState {
  return { series, panes: new Map(), revisions: new Map(), dirty: new Map(), changed: new Set() }
}

/** The key of a window in the maps of a series. */
export function windowKey({ sizeMs, endMs }: WindowEnd): string {
  return `${sizeMs}/${endMs}`
}

/** How far a window is settled. */
export type Settled = Pick<WindowResult, 'final' | 'revision' | 'incomplete'>

/** The results of the windows of one series that end at one instant, by size. */
export function* windowResults(
  { panes, series }: SeriesState,
  plan: WindowPlan,
  endMs: number,
  settled: (window: WindowEnd) => Settled,
): Iterable<Aggregate> {
  for (const { sizeMs, sum } of windowSums(panes, plan, endMs)) {
    const window = { series: series.labels, startMs: endMs - sizeMs, sizeMs }
    yield aggregateResult({ ...window, ...settled({ sizeMs, endMs }) }, sum)
  }
}

/** The windows to correct that end by `to`, by end and size; they are dirty no more. */
export function takeDirty(state: SeriesState, to: number): readonly WindowEnd[] {
  const due = [...state.dirty.values()].filter(({ endMs }) => endMs <= to)
  for (const window of due) state.dirty.delete(windowKey(window))
  return due.sort((a, b) => a.endMs - b.endMs || a.sizeMs - b.sizeMs)
}

/** The windows that hold a slice and have ended by `through`. */
export function* closedWindowsOf(
  { sizesMs, hopMs }: WindowPlan,
  sliceMs: number,
  through: number,
): Iterable<WindowEnd> {
  const first = firstEndAfter({ sizesMs, hopMs }, sliceMs)
  for (const sizeMs of sizesMs) {
    for (let endMs = first; endMs < first + sizeMs && endMs <= through; endMs += hopMs) {
      yield { sizeMs, endMs }
    }
  }
}

/** The window ends in (after, to], from the first one after `instant` on. */
export function* endsBetween(plan: WindowPlan, instant: number, to: number): Iterable<number> {
  for (let endMs = firstEndAfter(plan, instant); endMs <= to; endMs += plan.hopMs) yield endMs
}

/**
 * The ends in (after, to] at which a series has results: as long as the largest window holds any
 * of its panes, the smaller ones are published too, empty or not.
 */
export function resultEnds(
  plan: WindowPlan,
  state: SeriesState,
  after: number,
  to: number,
): Set<number> {
  const ends = new Set<number>()
  for (const paneMs of state.panes.keys()) {
    const last = Math.min(lastUse(plan, paneMs), to)
    for (const endMs of endsBetween(plan, Math.max(paneMs, after), last)) ends.add(endMs)
  }
  return ends
}

/** Forgets panes and revisions that are over. */
export function expireSeries(
  state: SeriesState,
  isSliceOver: (sliceMs: number) => boolean,
  isEndOver: (endMs: number) => boolean,
): void {
  for (const paneMs of state.panes.keys()) if (isSliceOver(paneMs)) state.panes.delete(paneMs)
  for (const key of state.revisions.keys()) {
    if (isEndOver(Number(key.slice(key.indexOf('/') + 1)))) state.revisions.delete(key)
  }
}
