import type { Attributes } from '@opentelemetry/api'
import type { TokenEvents } from '../../schemas/records.ts'
import { MEASURES } from '../core/measure/measures.ts'
import { type Grouping, requestSeries } from '../core/windows/series.ts'
import { type OtlpPoint, seriesAttributes } from '../formats/otlp-metric.ts'
import { classicBucket, type Exemplar } from '../formats/prometheus.ts'
import { type EndedRequest, REQUEST_MEASURES } from '../formats/requests-dataset.ts'

/** For each series and bucket a request that was counted there, of those that this process sees. */
export interface Exemplars {
  see(record: TokenEvents): void
  of(point: OtlpPoint): readonly Exemplar[]
}

const MEASURED = Object.entries(REQUEST_MEASURES).map(([name, usOf]) => {
  return { usOf, otel: MEASURES.find((measure) => measure.name === name)!.otel }
})

/** OpenMetrics has 128 characters for the labels of one. */
const ID_LENGTH_MAX = 100

/** None is known; of at most so many series and measures, those that were seen last. */
export function createExemplars(grouping: Grouping, seriesMax: number): Exemplars {
  const all = new Map<string, Map<number, Exemplar>>()

  function keep(key: string, exemplar: Exemplar): void {
    const own = all.get(key) ?? new Map<number, Exemplar>()
    own.set(classicBucket(exemplar.value), exemplar)
    // The one that was seen longest ago stands first.
    all.delete(key)
    all.set(key, own)
    if (all.size > seriesMax) all.delete(all.keys().next().value!)
  }

  return {
    see(record) {
      if (record.end === null || record.request_id.length > ID_LENGTH_MAX) return
      const request = record as EndedRequest
      const attributes = seriesAttributes(requestSeries(grouping, record).labels)
      const timeMs = (record.started_at + request.end.duration_us) / 1000
      for (const { otel, usOf } of MEASURED) {
        const us = usOf(request)
        if (us === null) continue
        keep(keyOf(otel, attributes), { requestId: record.request_id, value: us / 1e6, timeMs })
      }
    },
    of({ metric, point }) {
      const own = all.get(keyOf(metric, point.attributes))?.values() ?? []
      // An older one is not counted in a total that began after it.
      return [...own].filter(({ timeMs }) => timeMs >= point.startTime[0] * 1000)
    },
  }
}

/** Whatever the order of the attributes. */
function keyOf(metric: string, attributes: Attributes): string {
  return `${metric} ${JSON.stringify(Object.entries(attributes).sort())}`
}
