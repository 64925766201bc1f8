import { hash32 } from '../hash.ts'
import type { Grouping } from '../windows/series.ts'

/** The statistics that a distribution offers. */
export const METRIC_STATS = [
  'min',
  'max',
  'mean',
  'stddev',
  'p50',
  'p90',
  'p95',
  'p99',
  'p999',
] as const
export type MetricStat = (typeof METRIC_STATS)[number]

export const GAUGE_STATS = ['min', 'max', 'mean', 'last'] as const
export type GaugeStat = (typeof GAUGE_STATS)[number]

/** What an aggregate counts: the sources of rates and ratios. */
export const COUNTERS = [
  'requests',
  'errors',
  'cancelled',
  'chunks',
  'input_tokens',
  'output_tokens',
] as const
export type Counter = (typeof COUNTERS)[number]

/** What is compared, in the unit of the aggregate: microseconds, per second, a share, a reading. */
export type Reading =
  | { readonly kind: 'metric'; readonly metric: string; readonly stat: MetricStat }
  | { readonly kind: 'rate'; readonly counter: Counter }
  | { readonly kind: 'ratio'; readonly counter: Counter; readonly of: Counter }
  | { readonly kind: 'gauge'; readonly gauge: string; readonly stat: GaugeStat }

export type Condition =
  | { readonly kind: 'all' | 'any'; readonly conditions: readonly Condition[] }
  | { readonly kind: 'not'; readonly condition: Condition }
  | Comparison

export interface Comparison {
  readonly kind: 'compare'
  readonly reading: Reading
  readonly direction: 'above' | 'below'
  readonly threshold: number
  /** What counts instead while the rule fires, so that it does not flap; null: the same. */
  readonly leave: number | null
  /** With fewer samples (of a ratio: of its denominator) the answer is unknown. */
  readonly minCount: number
}

/** One rule, as the file gives it, checked. */
export interface Rule {
  readonly name: string
  readonly severity: string
  /** The grouping that it is evaluated on. */
  readonly groupBy: Grouping
  /** Dimension values that a series must have; empty for every series of the grouping. */
  readonly series: Readonly<Record<string, string>>
  readonly windowMs: number
  readonly when: Condition
  /** How long the condition must hold before the rule fires. */
  readonly forMs: number
  /** How long it must not hold before the firing is resolved. */
  readonly keepFiringMs: number
  /** What no data, or too few, are taken for; `hold`: neither for true nor for false. */
  readonly noData: 'hold' | 'ok' | 'breach'
  /** How long after a firing the next one is held back. */
  readonly cooldownMs: number
}

const revisions = new WeakMap<Rule, string>()

/** What a later build may add to every rule, and what is as good as not said. */
const UNSAID = new Set<unknown>([0, null, 'hold'])

/** A short text that changes when anything in the rule does. */
export function ruleRevision(rule: Rule): string {
  let revision = revisions.get(rule)
  if (revision === undefined) {
    revision = hash32(
      JSON.stringify(rule, (_, value) => (UNSAID.has(value) ? undefined : value)),
    ).toString(16)
    revisions.set(rule, revision)
  }
  return revision
}

/** The name of a reading in TriggerEvent.observed: e2e_us.p95, requests.rate, errors/requests. */
export function readingName(reading: Reading): string {
  switch (reading.kind) {
    case 'metric':
      return `${reading.metric}.${reading.stat}`
    case 'rate':
      return `${reading.counter}.rate`
    case 'ratio':
      return `${reading.counter}/${reading.of}`
    case 'gauge':
      return `${reading.gauge}.${reading.stat}`
  }
}

const OTHER_SIDE = { above: 'not above', below: 'not below' } as const

/** A condition in words, for a person. */
export function describeCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'all':
    case 'any': {
      const word = condition.kind === 'all' ? ' and ' : ' or '
      return condition.conditions.map(bracketed).join(word)
    }
    case 'not':
      return `not ${bracketed(condition.condition)}`
    case 'compare': {
      const { reading, direction, threshold, leave } = condition
      const until = leave === null ? '' : `, until ${OTHER_SIDE[direction]} ${leave}`
      return `${readingName(reading)} ${direction} ${threshold}${until}`
    }
  }
}

function bracketed(condition: Condition): string {
  const text = describeCondition(condition)
  return condition.kind === 'all' || condition.kind === 'any' ? `(${text})` : text
}
