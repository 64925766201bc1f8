import type { WindowPlan } from '../core/windows/hopping.ts'
import { mergePacked, type PackedAggregate, packAggregate } from '../core/windows/packed.ts'
import { createAggregate, mergeAggregate, type SeriesAggregate } from '../core/windows/slice.ts'

/**
 * What one series did, by panes: a pane is one hop, all of whose slices are in the same windows.
 * Those that nothing is counted into are packed.
 */
export type Panes = Map<number, SeriesAggregate | PackedAggregate>

/** Panes of a series that are not packed: with more, late data would fill the memory. */
const OPEN_MAX = 2

/** Start of the pane that holds an instant. */
export function paneStart({ hopMs }: WindowPlan, ms: number): number {
  return Math.floor(ms / hopMs) * hopMs
}

/** The pane that starts at `startMs`, to be counted into; made when it is not there. */
export function openPane(panes: Panes, startMs: number): SeriesAggregate {
  const pane = panes.get(startMs)
  if (pane && !isPacked(pane)) return pane
  const open = createAggregate()
  if (pane) mergePacked(open, pane)
  packOldest(panes)
  panes.set(startMs, open)
  return open
}

/** Packs the panes that end by `endMs`; those of every series that end after `sinceMs` together. */
export function packPanes(
  panes: Panes,
  { hopMs }: WindowPlan,
  sinceMs: number,
  endMs: number,
): void {
  for (const [startMs, pane] of panes) {
    const paneEndMs = startMs + hopMs
    if (paneEndMs > endMs || isPacked(pane)) continue
    panes.set(startMs, packAggregate(pane, paneEndMs > sinceMs))
  }
}

/** Makes room for one more open pane. */
function packOldest(panes: Panes): void {
  let oldest = Number.POSITIVE_INFINITY
  let open = 0
  for (const [startMs, pane] of panes) {
    if (isPacked(pane)) continue
    open++
    oldest = Math.min(oldest, startMs)
  }
  if (open >= OPEN_MAX)
    panes.set(oldest, packAggregate(panes.get(oldest) as SeriesAggregate, false))
}

/**
 * The sums of the windows that end at one instant, by size from the smallest on: a window goes on
 * from the next smaller one, pane by pane back in time. Each is valid until the next one is taken.
 */
export function* windowSums(
  panes: Panes,
  { sizesMs, hopMs }: WindowPlan,
  endMs: number,
): Iterable<{ readonly sizeMs: number; readonly sum: SeriesAggregate }> {
  const sum = createAggregate()
  let startMs = endMs
  for (const sizeMs of sizesMs.toSorted((a, b) => a - b)) {
    while (startMs > endMs - sizeMs) {
      startMs -= hopMs
      const pane = panes.get(startMs)
      if (pane) add(sum, pane)
    }
    yield { sizeMs, sum }
  }
}

function add(sum: SeriesAggregate, pane: SeriesAggregate | PackedAggregate): void {
  if (isPacked(pane)) mergePacked(sum, pane)
  else mergeAggregate(sum, pane)
}

function isPacked(pane: SeriesAggregate | PackedAggregate): pane is PackedAggregate {
  return 'bytes' in pane
}
