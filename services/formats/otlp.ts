import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api'
import { JsonMetricsSerializer, ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer'
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type ExponentialHistogram,
  type MetricData,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import type { Aggregate } from '../../schemas/records.ts'
import { MEASURES } from '../core/measure/measures.ts'
import { secondsHistogram } from './otlp-histogram.ts'
import { type Family, prometheusName } from './prometheus.ts'

type Value = number | ExponentialHistogram

/** One data point, and the metric that it belongs to. It shares nothing with the aggregate. */
export interface OtlpPoint {
  readonly metric: string
  readonly point: DataPoint<Value>
}

/** A metric of the export. A measure without an observation has no point: missing is not zero. */
interface Metric {
  readonly name: string
  readonly unit: string
  readonly description: string
  readonly isCounter: boolean
  readonly values: (aggregate: Aggregate) => readonly (readonly [Value, Attributes])[]
}

function counter(
  name: string,
  unit: string,
  description: string,
  values: (aggregate: Aggregate) => readonly (readonly [number, Attributes])[],
): Metric {
  return { name: `latency_lens.${name}`, unit: `{${unit}}`, description, isCounter: true, values }
}

const METRICS: readonly Metric[] = [
  // A share has no place among seconds.
  ...MEASURES.filter((measure) => measure.unit === 'us').map((measure): Metric => {
    return {
      name: measure.otel,
      unit: 's',
      description: measure.formula,
      isCounter: false,
      values: ({ metrics }) => {
        const found = metrics[measure.name]
        return found === undefined || found.count === 0 ? [] : [[secondsHistogram(found), {}]]
      },
    }
  }),
  counter(
    'requests',
    'request',
    'Requests that ended; a truncated one counts as error',
    ({ requests, errors, cancelled }) => [
      [requests - errors - cancelled, { status: 'ok' }],
      [errors, { status: 'error' }],
      [cancelled, { status: 'cancelled' }],
    ],
  ),
  counter('tokens', 'token', 'Tokens of ended requests', ({ input_tokens, output_tokens }) => [
    [input_tokens, { 'gen_ai.token.type': 'input' }],
    [output_tokens, { 'gen_ai.token.type': 'output' }],
  ]),
  counter('chunks', 'chunk', 'Output chunks of ended requests', ({ chunks }) => [[chunks, {}]]),
]

/** The data points of an aggregate: its durations in seconds and its counts. */
export function otlpPoints(aggregate: Aggregate): OtlpPoint[] {
  const startTime = time(aggregate.start)
  const endTime = time(aggregate.end)
  const series = seriesAttributes(aggregate.series)
  return METRICS.flatMap(({ name, values }) =>
    values(aggregate).map(([value, more]) => {
      return {
        metric: name,
        point: { startTime, endTime, attributes: { ...series, ...more }, value },
      }
    }),
  )
}

/**
 * Points as one OTLP export. `isDelta`: each point counts its own window, and not all since its
 * start. `instance` becomes service.instance.id: it names the source partition and not the process,
 * so that a series keeps its identity when the partition moves.
 */
export function otlpMetrics(
  points: readonly OtlpPoint[],
  instance: string,
  isDelta: boolean,
): ResourceMetrics {
  const attributes = { 'service.name': 'llm-latency-lens', 'service.instance.id': instance }
  const metrics = METRICS.flatMap((metric): MetricData[] => {
    const own = points.filter((point) => point.metric === metric.name).map(({ point }) => point)
    return own.length === 0 ? [] : [metricData(metric, own, isDelta)]
  })
  return {
    resource: resourceOf(attributes),
    scopeMetrics: [{ scope: { name: 'latency_lens' }, metrics }],
  }
}

/** Points by metric, as Prometheus scrapes them. */
export function prometheusFamilies(points: readonly OtlpPoint[]): Family[] {
  const byMetric = Map.groupBy(points, ({ metric }) => metric)
  return METRICS.flatMap((metric) => {
    const own = byMetric.get(metric.name)
    if (!own) return []
    const { description: help, isCounter } = metric
    const name = prometheusName(metric)
    return [{ name, help, isCounter, points: own.map(({ point }) => point) }]
  })
}

/** The export as the body of an OTLP/HTTP request with content type application/x-protobuf. */
export function otlpProtobuf(metrics: ResourceMetrics): Uint8Array {
  return ProtobufMetricsSerializer.serializeRequest(metrics)!
}

/** The export as the body of an OTLP/HTTP request with content type application/json. */
export function otlpJson(metrics: ResourceMetrics): Uint8Array {
  return JsonMetricsSerializer.serializeRequest(metrics)!
}

function metricData(metric: Metric, points: DataPoint<Value>[], isDelta: boolean): MetricData {
  const { name, description, unit, isCounter } = metric
  const valueType = isCounter ? ValueType.INT : ValueType.DOUBLE
  const common = {
    descriptor: { name, description, unit, valueType },
    aggregationTemporality: isDelta
      ? AggregationTemporality.DELTA
      : AggregationTemporality.CUMULATIVE,
  }
  return isCounter
    ? {
        ...common,
        dataPointType: DataPointType.SUM,
        isMonotonic: true,
        dataPoints: points as DataPoint<number>[],
      }
    : {
        ...common,
        dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
        dataPoints: points as DataPoint<ExponentialHistogram>[],
      }
}

const CONVENTIONS: Readonly<Record<string, string>> = {
  model: 'gen_ai.request.model',
  provider: 'gen_ai.provider.name',
}

function seriesAttributes(series: Readonly<Record<string, string>>): Attributes {
  const attributes: Attributes = { 'gen_ai.operation.name': 'chat' }
  for (const [name, value] of Object.entries(series)) {
    attributes[CONVENTIONS[name] ?? `latency_lens.${name}`] = value
  }
  return attributes
}

function time(ms: number): HrTime {
  return [Math.floor(ms / 1000), (ms % 1000) * 1e6]
}

// The serialisers read nothing of a resource but its attributes; what makes one belongs to a
// package that brings the whole SDK's detectors with it.
function resourceOf(attributes: Attributes): ResourceMetrics['resource'] {
  const resource: ResourceMetrics['resource'] = {
    attributes,
    merge: (other) =>
      other === null ? resource : resourceOf({ ...attributes, ...other.attributes }),
    getRawAttributes: () => Object.entries(attributes),
  }
  return resource
}
