import type { Attributes } from '@opentelemetry/api'
import type { Aggregate, Distribution } from '../../schemas/records.ts'
import { MEASURES, type Measure } from '../core/measure/measures.ts'
import { groupingOf } from './aggregates-dataset.ts'
import { type OtlpMetric, type OtlpPoint, pointsOf } from './otlp-metric.ts'

const PREFIX = 'latency_lens.view.'

const QUANTILES = { 0.5: 'p50', 0.95: 'p95', 0.99: 'p99' } as const

/** Values are in the unit of their own window, whatever its size: they are never added up. */
function view(
  name: string,
  unit: string,
  description: string,
  valuesOf: (aggregate: Aggregate) => readonly (readonly [number, Attributes])[],
): OtlpMetric {
  const values: OtlpMetric['values'] = (aggregate) => {
    const window = `${aggregate.size_s / 60}m`
    const own = { window, grouping: groupingOf(aggregate.series) }
    return valuesOf(aggregate).map(([value, more]) => [value, { ...own, ...more }])
  }
  return { name: `${PREFIX}${name}`, unit, description, kind: 'gauge', values }
}

function measureView({ name, unit, unitShift, formula }: Measure): OtlpMetric {
  const isTime = unit === 'us'
  const scale = isTime ? 1e-6 : 2 ** -unitShift
  return view(name.replace(/_us$/, ''), isTime ? 's' : '1', formula, ({ metrics }) => {
    const found: Distribution | undefined = metrics[name]
    if (found === undefined || found.count === 0) return []
    return Object.entries(QUANTILES).map(([quantile, of]) => [found[of] * scale, { quantile }])
  })
}

/** What a window says of itself: the gauges that 5 and 15 minutes are seen as. */
export const VIEWS: readonly OtlpMetric[] = [
  ...MEASURES.map(measureView),
  view('observations', '{observation}', 'How many values a measure has', ({ metrics }) => {
    return Object.entries(metrics).map(([measure, { count }]) => [count, { measure }])
  }),
  view('requests', '{request}/s', 'Requests that ended', ({ requests, size_s }) => {
    return [[requests / size_s, {}]]
  }),
  view('output_tokens', '{token}/s', 'Output tokens of ended requests', (aggregate) => {
    return [[aggregate.output_tokens / aggregate.size_s, {}]]
  }),
  view('errors', '1', 'Share of the requests that failed', ({ requests, errors }) => {
    return requests === 0 ? [] : [[errors / requests, {}]]
  }),
  view('goodput', '1', 'Share of the requests that met their objectives', ({ goodput }) => {
    return goodput === null ? [] : [[goodput, {}]]
  }),
  view('resource', '', 'Gauges of engines and hosts, each in its own unit', ({ gauges }) => {
    return Object.entries(gauges).flatMap(([name, { mean, max }]) => [
      [mean, { name, stat: 'mean' }] as const,
      [max, { name, stat: 'max' }] as const,
    ])
  }),
]

/** The data points of a window as gauges. */
export function viewPoints(aggregate: Aggregate): OtlpPoint[] {
  return pointsOf(VIEWS, aggregate)
}

/** Whether a point is of a window alone, and soon out of date. */
export function isViewPoint({ metric }: OtlpPoint): boolean {
  return metric.startsWith(PREFIX)
}
