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

/** What one partition has said in its stream, by metric and attributes. */
interface Source {
  readonly stream: number
  readonly points: Map<string, OtlpPoint>
}

/** A gauge says what is: of a series that has ended it says nothing more. */
const VIEW_MS_MAX = 10 * 60_000

/**
 * Nothing is known. With `seriesMax` time series there is no room for new ones: a label of too many
 * values would fill the memory of whoever scrapes.
 */
export function createScrapeState(seriesMax: number): ScrapeState {
  const sources = new Map<string, Source>()

  function sourceOf(instance: string, stream: number): Source {
    const known = sources.get(instance)
    if (known && known.stream >= stream) return known
    // Totals begin anew, and series that are over end.
    const made = { stream, points: new Map() }
    sources.set(instance, made)
    return made
  }

  function size(): number {
    let sum = 0
    for (const { points } of sources.values()) sum += points.size
    return sum
  }

  return {
    take({ points, instance }) {
      let dropped = 0
      for (const point of points) {
        const [seconds] = point.point.startTime
        const source = sourceOf(instance, streamAt(seconds * 1000))
        const key = pointKey(point)
        if (!source.points.has(key) && size() >= seriesMax) dropped++
        else source.points.set(key, point)
      }
      return dropped
    },
    points(nowMs) {
      const sinceS = (nowMs - VIEW_MS_MAX) / 1000
      const isNow = (one: OtlpPoint) => !isViewPoint(one) || one.point.endTime[0] >= sinceS
      return [...sources.values()].flatMap(({ points }) => [...points.values()].filter(isNow))
    },
    reset: () => sources.clear(),
  }
}
