import { type Attributes, ValueType } from '@opentelemetry/api'
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
import { type OtlpMetric, type OtlpPoint, type OtlpValue, pointsOf } from './otlp-metric.ts'
import { VIEWS } from './otlp-views.ts'
import { counted, type Exemplar, type Family, prometheusName } from './prometheus.ts'

function counter(
  name: string,
  unit: string,
  description: string,
  values: (aggregate: Aggregate) => readonly (readonly [number, Attributes])[],
): OtlpMetric {
  return { name: `latency_lens.${name}`, unit: `{${unit}}`, description, kind: 'counter', values }
}

const TOTALS: readonly OtlpMetric[] = [
  // A share has no place among seconds.
  ...MEASURES.filter((measure) => measure.unit === 'us').map((measure): OtlpMetric => {
    return {
      name: measure.otel,
      unit: 's',
      description: measure.formula,
      kind: 'histogram',
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

const METRICS = [...TOTALS, ...VIEWS]

/** The data points of an aggregate: its durations in seconds and its counts. */
export function otlpPoints(aggregate: Aggregate): OtlpPoint[] {
  return pointsOf(TOTALS, aggregate)
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

/** Points by metric, as Prometheus scrapes them, with exemplars for histograms. */
export function prometheusFamilies(
  points: readonly OtlpPoint[],
  exemplarsOf: (point: OtlpPoint) => readonly Exemplar[] = () => [],
): Family[] {
  const byMetric = Map.groupBy(points, ({ metric }) => metric)
  return METRICS.flatMap((metric) => {
    const own = byMetric.get(metric.name)
    if (!own) return []
    const { description: help, kind } = metric
    const name = prometheusName(metric)
    const pointOf = (one: OtlpPoint) => {
      return { ...one.point, exemplars: counted(one.point.value, exemplarsOf(one)) }
    }
    return [{ name, help, kind, points: own.map(pointOf) }]
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

function metricData(
  { name, description, unit, kind }: OtlpMetric,
  points: DataPoint<OtlpValue>[],
  isDelta: boolean,
): MetricData {
  const common = {
    descriptor: {
      ...{ name, description, unit },
      valueType: kind === 'counter' ? ValueType.INT : ValueType.DOUBLE,
    },
    aggregationTemporality: isDelta
      ? AggregationTemporality.DELTA
      : AggregationTemporality.CUMULATIVE,
  }
  const histograms = points as DataPoint<ExponentialHistogram>[]
  const numbers = points as DataPoint<number>[]
  switch (kind) {
    case 'histogram': {
      const dataPointType = DataPointType.EXPONENTIAL_HISTOGRAM
      return { ...common, dataPointType, dataPoints: histograms }
    }
    case 'counter': {
      const dataPointType = DataPointType.SUM
      return { ...common, dataPointType, isMonotonic: true, dataPoints: numbers }
    }
    case 'gauge':
      return { ...common, dataPointType: DataPointType.GAUGE, dataPoints: numbers }
  }
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
