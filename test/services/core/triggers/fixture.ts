/** Rules, conditions and final aggregates for the tests of triggers. */
import type { Aggregate, Distribution, TriggerEvent } from '../../../../schemas/records.ts'
import { createEpisode, stepEpisode } from '../../../../services/core/triggers/episode.ts'
import type { Comparison, Reading, Rule } from '../../../../services/core/triggers/rule.ts'
import { NOON_MS } from '../../../records.ts'

export const MINUTE_MS = 60_000
export const E2E_P95: Reading = { kind: 'metric', metric: 'e2e_us', stat: 'p95' }
export const REQUEST_RATE: Reading = { kind: 'rate', counter: 'requests' }
export const ERROR_RATIO: Reading = { kind: 'ratio', counter: 'errors', of: 'requests' }
export const GPU_MEAN: Reading = { kind: 'gauge', gauge: 'gpu_utilization', stat: 'mean' }

/** A distribution of 100 values whose statistics all differ. */
export function distribution(more: Partial<Distribution> = {}): Distribution {
  return {
    count: 100,
    sum: 11_000_000,
    min: 1_000,
    max: 999_000,
    mean: 110_000,
    stddev: 7_000,
    p50: 100_000,
    p90: 140_000,
    p95: 150_000,
    p99: 180_000,
    p999: 190_000,
    histogram: { scale: 6, zero_count: 0, offset: 0, counts: [] },
    ...more,
  }
}

/** The final aggregate of the window of five minutes that ends so many minutes after noon. */
export function windowEnding(minutes: number, more: Partial<Aggregate> = {}): Aggregate {
  const end = NOON_MS + minutes * MINUTE_MS
  return {
    series: { model: 'm-1' },
    size_s: 300,
    start: end - 5 * MINUTE_MS,
    end,
    final: true,
    revision: 0,
    incomplete: false,
    requests: 600,
    errors: 30,
    cancelled: 6,
    errors_by_type: {},
    chunks: 9_000,
    input_tokens: 12_000,
    output_tokens: 15_000,
    metrics: { e2e_us: distribution() },
    gauges: { gpu_utilization: { count: 30, min: 0.1, max: 0.99, mean: 0.6, last: 0.7 } },
    goodput: null,
    ...more,
  }
}

/** A comparison, above unless told otherwise. */
export function compare(
  reading: Reading,
  threshold: number,
  more: Partial<Comparison> = {},
): Comparison {
  const plain = { direction: 'above', threshold, leave: null, minCount: 0 } as const
  return { kind: 'compare', reading, ...plain, ...more }
}

/** p95 of e2e above 100 ms, over five minutes, for each model. */
export function rule(more: Partial<Rule> = {}): Rule {
  return {
    name: 'e2e-p95-high',
    severity: 'warning',
    groupBy: ['model'],
    series: {},
    windowMs: 5 * MINUTE_MS,
    when: compare(E2E_P95, 100_000),
    forMs: 0,
    keepFiringMs: 0,
    noData: 'hold',
    cooldownMs: 0,
    ...more,
  }
}

/** Key of the series of every window. */
export const SERIES = '{"model":"m-1"}'

/** One window a minute from noon on: slow (+), fast (-), or without enough requests (?). */
export function windows(text: string): Aggregate[] {
  return [...text].map((sign, minute) => {
    const p95 = sign === '+' ? 150_000 : 50_000
    return windowEnding(minute, { metrics: sign === '?' ? {} : { e2e_us: distribution({ p95 }) } })
  })
}

/** The states and the events of a rule over windows. */
export function run(by: Rule, aggregates: readonly Aggregate[]) {
  let state = createEpisode(by, SERIES)
  const events: TriggerEvent[] = []
  const states = aggregates.map((aggregate) => {
    const step = stepEpisode(by, state, aggregate)
    if (step.event) events.push(step.event)
    state = step.state
    return state
  })
  return { states, events }
}
