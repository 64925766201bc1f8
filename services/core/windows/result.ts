import type { Aggregate, Distribution } from '../../../schemas/records.ts'
import { distributionResult } from '../histogram/distribution.ts'
import { MEASURES } from '../measure/measures.ts'
import { gaugeResult } from './gauge.ts'
import { byName, encodeCounts, forEachMetric, type SeriesAggregate } from './slice.ts'

/** Which window a result is of, and how far it is settled. */
export interface WindowResult {
  readonly series: Readonly<Record<string, string>>
  readonly startMs: number
  readonly sizeMs: number
  readonly final: boolean
  readonly revision: number
  /** Not all source partitions have passed its end. */
  readonly incomplete?: boolean
}

/** The published form: lens.aggregates when final, lens.aggregates-live when not. */
export function aggregateResult(window: WindowResult, source: SeriesAggregate): Aggregate {
  const metrics: Record<string, Distribution> = {}
  forEachMetric(source, (id, distribution) => {
    const { name, unitShift } = MEASURES[id]!
    metrics[name] = distributionResult(distribution, unitShift)
  })
  return {
    series: window.series,
    size_s: window.sizeMs / 1000,
    start: window.startMs,
    end: window.startMs + window.sizeMs,
    final: window.final,
    revision: window.revision,
    incomplete: window.incomplete ?? false,
    ...encodeCounts(source),
    metrics,
    gauges: Object.fromEntries(
      [...source.gauges].sort(byName).map(([name, gauge]) => [name, gaugeResult(gauge)]),
    ),
    goodput: null,
  }
}
