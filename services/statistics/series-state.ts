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
  /** Ends of the panes that late slices came into since markLate(). */
  readonly late: Set<number>
  /** Windows to correct at the next step, by windowKey. */
  readonly dirty: Map<string, WindowEnd>
  /** Ends of minutes that something was counted in, with the sizes that have not shown it live. */
  readonly changed: Map<number, readonly number[]>
}

/** A series without panes. */
export function createSeriesState(series: Series): SeriesState {
  const [panes, revisions, dirty] = [new Map(), new Map(), new Map()]
  return { series, panes, revisions, late: new Set(), dirty, changed: new Map() }
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

const OPEN: Settled = { final: false, revision: 0 }

/** Results so far of the windows of these sizes that hold what they have not shown. */
export function* liveResults(
  state: SeriesState,
  plan: WindowPlan,
  nextMs: number,
  sizesMs: readonly number[],
): Iterable<Aggregate> {
  for (const [endMs, unseen] of takeUnseen(state, nextMs, sizesMs)) {
    yield* windowResults(state, { ...plan, sizesMs: unseen }, endMs, () => OPEN)
  }
}

/**
 * Ends of the minutes that have changed, those over by `nextMs` as the one that ends then, each
 * with those of these sizes that have not shown it. Now they have.
 */
function takeUnseen(
  { changed }: SeriesState,
  nextMs: number,
  sizesMs: readonly number[],
): Map<number, readonly number[]> {
  const taken = new Map<number, readonly number[]>()
  for (const [endMs, unseen] of changed) {
    const due = unseen.filter((sizeMs) => sizesMs.includes(sizeMs))
    if (due.length === 0) continue
    if (due.length === unseen.length) changed.delete(endMs)
    else changed.set(endMs, subtract(unseen, due))
    const shownMs = Math.max(endMs, nextMs)
    const already = taken.get(shownMs) ?? []
    taken.set(shownMs, [...already, ...subtract(due, already)])
  }
  return taken
}

function subtract(from: readonly number[], what: readonly number[]): readonly number[] {
  return from.filter((each) => !what.includes(each))
}

/** The windows to correct that end by `to`, by end and size; they are dirty no more. */
export function takeDirty(state: SeriesState, to: number): readonly WindowEnd[] {
  const due = [...state.dirty.values()].filter(({ endMs }) => endMs <= to)
  for (const window of due) state.dirty.delete(windowKey(window))
  return due.sort((a, b) => a.endMs - b.endMs || a.sizeMs - b.sizeMs)
}

/** Makes the windows in (after, through] dirty that hold what has come late. */
export function markLate(
  { late, dirty }: SeriesState,
  { sizesMs, hopMs }: WindowPlan,
  after: number,
  through: number,
): void {
  for (const first of late) {
    for (const sizeMs of sizesMs) {
      for (let endMs = first; endMs < first + sizeMs && endMs <= through; endMs += hopMs) {
        if (endMs > after) dirty.set(windowKey({ sizeMs, endMs }), { sizeMs, endMs })
      }
    }
  }
  late.clear()
}

/** How many of the windows that hold a pane have ended by `to`, which is not before its end. */
export function ended({ sizesMs, hopMs }: WindowPlan, paneEndMs: number, to: number): number {
  const ends = Math.floor((to - paneEndMs) / hopMs) + 1
  return sizesMs.reduce((sum, sizeMs) => sum + Math.min(sizeMs / hopMs, ends), 0)
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
