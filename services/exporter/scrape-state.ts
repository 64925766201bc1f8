import type { OtlpPoint } from '../formats/otlp-metric.ts'
import { isViewPoint } from '../formats/otlp-views.ts'
import { type OtlpExport, pointKey } from './otlp-processor.ts'
import { streamAt } from './otlp-stream.ts'

/** The running totals of the partitions of one process, as they are now. */
export interface ScrapeState {
  /** Takes what a partition says; the number of time series that there was no room for. */
  take(said: OtlpExport): number
  /** All of them, but for gauges of windows that ended long before this time. */
  points(nowMs: number): readonly OtlpPoint[]
  /** Other partitions come: nothing is known. */
  reset(): void
}

/** What one partition has said, by metric and attributes. */
interface Source {
  /** Of the totals. */
  stream: number
  readonly totals: Map<string, OtlpPoint>
  readonly views: Map<string, OtlpPoint>
}

/** A gauge says what is: of a series that has ended it says nothing more. */
const VIEW_MS_MAX = 10 * 60_000

/**
 * Nothing is known. With `seriesMax` totals there is no room for new ones, nor for more gauges than
 * that: a label of too many values would fill the memory of whoever scrapes.
 */
export function createScrapeState(seriesMax: number): ScrapeState {
  const sources = new Map<string, Source>()

  function sourceOf(instance: string): Source {
    const known = sources.get(instance)
    if (known) return known
    const made = { stream: Number.NEGATIVE_INFINITY, totals: new Map(), views: new Map() }
    sources.set(instance, made)
    return made
  }

  function size(of: (source: Source) => Map<string, OtlpPoint>): number {
    return [...sources.values()].reduce((sum, source) => sum + of(source).size, 0)
  }

  return {
    take({ points, instance }) {
      const source = sourceOf(instance)
      let dropped = 0
      for (const point of points) {
        const isView = isViewPoint(point)
        const own = streamAt(point.point.startTime[0] * 1000)
        if (!isView && own > source.stream) {
          // Totals begin anew, and series that are over end.
          source.totals.clear()
          source.stream = own
        }
        const kind = (one: Source) => (isView ? one.views : one.totals)
        const key = pointKey(point)
        if (!kind(source).has(key) && size(kind) >= seriesMax) dropped++
        else kind(source).set(key, point)
      }
      return dropped
    },
    points(nowMs) {
      const sinceS = (nowMs - VIEW_MS_MAX) / 1000
      for (const { views } of sources.values()) {
        for (const [key, { point }] of views) if (point.endTime[0] < sinceS) views.delete(key)
      }
      return [...sources.values()].flatMap(({ totals, views }) => {
        return [...totals.values(), ...views.values()]
      })
    },
    reset: () => sources.clear(),
  }
}
