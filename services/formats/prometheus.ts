import type { Attributes } from '@opentelemetry/api'
import type { DataPoint, ExponentialHistogram } from '@opentelemetry/sdk-metrics'
import type { OtlpMetric, OtlpValue } from './otlp-metric.ts'

/** Points of one metric, as OTLP has them, under the name that Prometheus gives it. */
export interface Family extends Pick<OtlpMetric, 'kind'> {
  readonly name: string
  readonly help: string
  readonly points: readonly FamilyPoint[]
}

/** A point, and of a histogram some of the requests that it counts. */
export interface FamilyPoint extends DataPoint<OtlpValue> {
  readonly exemplars: readonly Exemplar[]
}

/** One request that was counted: its value in the unit of the family, and when it ended. */
export interface Exemplar {
  readonly requestId: string
  readonly value: number
  readonly timeMs: number
}

/** As Prometheus translates OTLP: dots become underscores, the unit and _total are appended. */
export function prometheusName({ name, unit, kind }: OtlpMetric): string {
  return `${labelName(name)}${kind === 'counter' ? '_total' : suffixOf(unit)}`
}

function suffixOf(unit: string): string {
  if (unit === 's') return '_seconds'
  return unit === '1' ? '_ratio' : unit.endsWith('/s') ? '_per_second' : ''
}

/** A dimension as a label. */
export function labelName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, '_')
}

/** Seconds: the bounds of OpenTelemetry's GenAI conventions, and three below them for tokens. */
const BOUNDS_S = [0.001, 0.0025, 0.005, ...Array.from({ length: 14 }, (_, k) => 0.01 * 2 ** k)]

/** What a text is for: Prometheus' own form, or OpenMetrics. */
export type TextForm = 'prometheus' | 'openmetrics'

/** Families as text; histograms with classic buckets, since a text has no others. */
export function prometheusText(families: readonly Family[], form: TextForm): string {
  const lines = families.flatMap((family) => familyLines(family, form))
  if (form === 'openmetrics') lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

function familyLines({ name, help, kind, points }: Family, form: TextForm): string[] {
  // OpenMetrics names a counter without what its samples end with.
  const family = form === 'openmetrics' ? name.replace(/_total$/, '') : name
  const isTimed = form === 'openmetrics' && name.endsWith('_seconds')
  const unit = isTimed ? [`# UNIT ${family} seconds`] : []
  return [
    `# HELP ${family} ${escaped(help, form === 'openmetrics')}`,
    `# TYPE ${family} ${kind}`,
    ...unit,
    ...points.flatMap((point) => sampleLines(name, point, form)),
  ]
}

function sampleLines(name: string, point: FamilyPoint, form: TextForm): string[] {
  const { attributes, value, exemplars } = point
  const labels = labelsOf(attributes)
  if (typeof value === 'number') return [`${name}{${labels}} ${value}`]
  const shown = form === 'openmetrics' ? exemplars : []
  const byBucket = new Map(shown.map((one) => [classicBucket(one.value), one]))
  const all = [...classicCounts(value), { bound: '+Inf', count: value.count }]
  const buckets = all.map(({ bound, count }, i) => {
    return `${name}_bucket{${labels},le="${bound}"} ${count}${exemplarText(byBucket.get(i))}`
  })
  return [
    ...buckets,
    `${name}_sum{${labels}} ${value.sum}`,
    `${name}_count{${labels}} ${value.count}`,
  ]
}

function exemplarText(exemplar: Exemplar | undefined): string {
  if (!exemplar) return ''
  const { requestId, value, timeMs } = exemplar
  return ` # {request_id="${escaped(requestId, true)}"} ${value} ${timeMs / 1000}`
}

/** Those of exemplars whose bucket counts something: totals lag behind what has happened. */
export function counted(value: OtlpValue, exemplars: readonly Exemplar[]): readonly Exemplar[] {
  if (typeof value === 'number' || exemplars.length === 0) return []
  const all = [...classicCounts(value).map(({ count }) => count), value.count]
  return exemplars.filter((one) => {
    const bucket = classicBucket(one.value)
    return all[bucket]! > (all[bucket - 1] ?? 0)
  })
}

/** In which of the classic buckets a number of seconds is counted. */
export function classicBucket(seconds: number): number {
  const bucket = BOUNDS_S.findIndex((bound) => seconds <= bound)
  return bucket < 0 ? BOUNDS_S.length : bucket
}

/** How many values are at most each bound, a bucket that a bound divides going by its middle. */
function classicCounts({ scale, zeroCount, positive }: ExponentialHistogram) {
  const { offset, bucketCounts } = positive
  let [next, count] = [0, zeroCount]
  return BOUNDS_S.map((bound) => {
    while (next < bucketCounts.length && 2 ** ((offset + next + 0.5) / 2 ** scale) <= bound) {
      count += bucketCounts[next++]!
    }
    return { bound: Number(bound.toPrecision(12)), count }
  })
}

function labelsOf(attributes: Attributes): string {
  const pairs = Object.entries(attributes).map(([name, value]) => {
    return `${labelName(name)}="${escaped(String(value), true)}"`
  })
  return pairs.join(',')
}

function escaped(text: string, isQuoted: boolean): string {
  const safe = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return isQuoted ? safe.replaceAll('"', '\\"') : safe
}
