import type { Attributes, HrTime } from '@opentelemetry/api'
import type { DataPoint, ExponentialHistogram } from '@opentelemetry/sdk-metrics'
import type { Aggregate } from '../../schemas/records.ts'

export type OtlpValue = number | ExponentialHistogram

/** A metric of the export. A measure without an observation has no point: missing is not zero. */
export interface OtlpMetric {
  readonly name: string
  /** In UCUM, as OpenTelemetry has them: `s`, `1`, `{request}`, `{request}/s`; or empty. */
  readonly unit: string
  readonly description: string
  readonly kind: 'histogram' | 'counter' | 'gauge'
  readonly values: (aggregate: Aggregate) => readonly (readonly [OtlpValue, Attributes])[]
}

/** One data point, and the metric that it belongs to. It shares nothing with the aggregate. */
export interface OtlpPoint {
  readonly metric: string
  readonly point: DataPoint<OtlpValue>
}

/** The points that metrics have of an aggregate, with the attributes of its series. */
export function pointsOf(metrics: readonly OtlpMetric[], aggregate: Aggregate): OtlpPoint[] {
  const startTime = time(aggregate.start)
  const endTime = time(aggregate.end)
  const series = seriesAttributes(aggregate.series)
  return metrics.flatMap(({ name, values }) =>
    values(aggregate).map(([value, more]) => {
      return {
        metric: name,
        point: { startTime, endTime, attributes: { ...series, ...more }, value },
      }
    }),
  )
}

const CONVENTIONS: Readonly<Record<string, string>> = {
  model: 'gen_ai.request.model',
  provider: 'gen_ai.provider.name',
}

/** The dimensions of a series by the names of the conventions. */
export function seriesAttributes(series: Readonly<Record<string, string>>): Attributes {
  const attributes: Attributes = { 'gen_ai.operation.name': 'chat' }
  for (const [name, value] of Object.entries(series)) {
    attributes[CONVENTIONS[name] ?? `latency_lens.${name}`] = value
  }
  return attributes
}

function time(ms: number): HrTime {
  return [Math.floor(ms / 1000), (ms % 1000) * 1e6]
}
