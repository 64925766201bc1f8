import type { Aggregate, ResourceSample } from '../../schemas/records.ts'
import type { Labels } from '../core/measure/labels.ts'
import type { TokenRun } from '../core/measure/token-run.ts'
import { eventTimeUs, foldRun, foldSample, type SliceAt } from '../core/windows/fold.ts'
import { aggregateResult } from '../core/windows/result.ts'
import {
  type Grouping,
  OTHER,
  requestSeries,
  type Series,
  seriesOf,
  seriesOfSample,
} from '../core/windows/series.ts'
import {
  byName,
  createAggregate,
  mergeAggregate,
  type SeriesAggregate,
} from '../core/windows/slice.ts'

/** Which windows are recomputed. */
export interface ReplayPlan {
  readonly sizeMs: number
  readonly startsMs: readonly number[]
  readonly groupings: readonly Grouping[]
  /** The only series; null for all of the groupings. */
  readonly series: Series | null
}

/** A window of a series, by `series start`. */
export type ReplayKey = string

/** Windows in the making, out of raw records in any order. */
export interface Recompute {
  run(run: TokenRun): void
  sample(sample: ResourceSample): void
  /** Every window that holds anything; revision 0. */
  results(): Map<ReplayKey, Aggregate>
}

type Slices = Map<number, SeriesAggregate>

/**
 * Windows from raw records by the functions of services/core that windowing and statistics use:
 * fold, sum, result. No ranges and no caps of series: what was counted as __other__ is not found
 * again.
 */
export function createRecompute(plan: ReplayPlan): Recompute {
  const { sizeMs, startsMs, groupings } = plan
  const fromMs = Math.min(...startsMs)
  const toMs = Math.max(...startsMs) + sizeMs
  // Decoded labels are interned: one object, one series.
  const byLabels = new Map<Labels, Slices>()
  const bySeries = new Map<string, { readonly series: Series; readonly slices: Slices }>()
  const wanted = new Map<Labels, readonly Series[]>()
  const outside = createAggregate()

  function at(slices: Slices): SliceAt {
    return (startMs) => {
      if (startMs < fromMs || startMs >= toMs) return outside
      const slice = slices.get(startMs) ?? createAggregate()
      slices.set(startMs, slice)
      return slice
    }
  }

  function slicesOf(series: Series): Slices {
    const row = bySeries.get(series.key) ?? { series, slices: new Map() }
    bySeries.set(series.key, row)
    return row.slices
  }

  function isWanted(series: Series): boolean {
    return plan.series === null || plan.series.key === series.key
  }

  function seriesOfLabels(labels: Labels): readonly Series[] {
    const known = wanted.get(labels)
    if (known) return known
    const all = groupings.map((grouping) => requestSeries(grouping, labels)).filter(isWanted)
    wanted.set(labels, all)
    return all
  }

  function merged(): void {
    for (const [labels, slices] of byLabels) {
      for (const series of seriesOfLabels(labels)) {
        const into = at(slicesOf(series))
        for (const [startMs, slice] of slices) mergeAggregate(into(startMs), slice)
      }
    }
    byLabels.clear()
  }

  return {
    run(run) {
      const isOutside = eventTimeUs(run) < fromMs * 1000 || run.startedAtUs >= toMs * 1000
      if (isOutside || seriesOfLabels(run.labels).length === 0) return
      const slices = byLabels.get(run.labels) ?? new Map()
      byLabels.set(run.labels, slices)
      foldRun(run, at(slices))
    },
    sample(sample) {
      for (const grouping of groupings) {
        const series = seriesOfSample(sample, grouping)
        if (series && isWanted(series)) foldSample(sample, at(slicesOf(series)))
      }
    },
    results() {
      merged()
      const results = new Map<ReplayKey, Aggregate>()
      for (const { series, slices } of bySeries.values()) {
        for (const startMs of startsMs) {
          const own = [...slices].filter(([ms]) => ms >= startMs && ms < startMs + sizeMs)
          if (own.length === 0) continue
          const total = createAggregate()
          for (const [, slice] of own) mergeAggregate(total, asWritten(slice))
          results.set(replayKey(series.labels, startMs), resultOf(series.labels, startMs, total))
        }
      }
      return results
    },
  }

  function resultOf(labels: Series['labels'], startMs: number, total: SeriesAggregate): Aggregate {
    const window = { series: labels, startMs, sizeMs, final: true, revision: 0 }
    return aggregateResult(window, total)
  }
}

/** With names in the order in which they are written: beyond the limit the first ones stay. */
function asWritten({ errorsByType, gauges, ...slice }: SeriesAggregate): SeriesAggregate {
  const [types, names] = [[...errorsByType].sort(byName), [...gauges].sort(byName)]
  return { ...slice, errorsByType: new Map(types), gauges: new Map(names) }
}

/** The key of a window of a series. */
export function replayKey(series: Readonly<Record<string, string>>, startMs: number): ReplayKey {
  return `${startMs} ${seriesOf(series).key}`
}

/** What a comparison can come out as. */
export type ReplayStatus = 'identical' | 'differs' | 'missing' | 'not in raw' | 'not recomputed'

/** One window: what was published, and what it should be. */
export interface ReplayedWindow {
  readonly status: ReplayStatus
  readonly published: Aggregate | null
  /** With the revision of the published one; null when the raw topic holds nothing of it. */
  readonly recomputed: Aggregate | null
  /** Where they differ. */
  readonly fields: readonly string[]
}

/** Compares every window that was published or recomputed, by start and series. */
export function compareReplay(
  published: ReadonlyMap<ReplayKey, Aggregate>,
  recomputed: ReadonlyMap<ReplayKey, Aggregate>,
  isSame: (a: Aggregate, b: Aggregate) => boolean,
): ReplayedWindow[] {
  return [...new Set([...published.keys(), ...recomputed.keys()])].sort().map((key) => {
    return compareWindow(published.get(key) ?? null, recomputed.get(key) ?? null, isSame)
  })
}

function compareWindow(
  was: Aggregate | null,
  own: Aggregate | null,
  isSame: (a: Aggregate, b: Aggregate) => boolean,
): ReplayedWindow {
  if (!was) return { status: 'missing', published: null, recomputed: own, fields: [] }
  const { series, start: startMs, size_s, revision } = was
  const window = { series, startMs, sizeMs: size_s * 1000, final: true, revision }
  // Statistics publishes a series without events for a while, the fleet for ever.
  const now = own ? { ...own, revision } : aggregateResult(window, createAggregate())
  if (isSame(was, now)) return { status: 'identical', published: was, recomputed: now, fields: [] }
  const fields = differences(was, now)
  if (own) return { status: 'differs', published: was, recomputed: now, fields }
  const status = Object.values(series).includes(OTHER) ? 'not recomputed' : 'not in raw'
  return { status, published: was, recomputed: null, fields }
}

type Fields = Readonly<Record<string, unknown>>

/** `requests 9 -> 10`, `metrics.ttft_us`: published, then recomputed. */
function differences(was: Aggregate, now: Aggregate): string[] {
  return Object.keys(now).flatMap((name) => {
    const [a, b] = [(was as unknown as Fields)[name], (now as unknown as Fields)[name]]
    if (JSON.stringify(a) === JSON.stringify(b)) return []
    if (typeof b !== 'object' || typeof a !== 'object') return [`${name} ${a} -> ${b}`]
    const [mapA, mapB] = [a as Fields, b as Fields]
    const keys = [...new Set([...Object.keys(mapA), ...Object.keys(mapB)])]
    const differ = keys.filter((key) => JSON.stringify(mapA[key]) !== JSON.stringify(mapB[key]))
    return differ.map((key) => `${name}.${key}`)
  })
}
