import { z } from 'zod'
import type { Aggregate, Distribution, TriggerEvent } from '../../schemas/records.ts'
import { COUNTERS, METRIC_STATS, type Rule } from '../core/triggers/rule.ts'
import { ruleDuration, ruleThreshold } from '../triggers/conditions.ts'
import { tryRules } from '../triggers/try-rules.ts'

const amount = ruleThreshold.transform(({ value }) => value)
const count = z.int().min(0)

/**
 * One window, or `times` alike; what is left out of it is 0 or not there. `none`: the series is
 * silent, while others are not.
 */
const window = z.strictObject({
  times: z.int().min(1).default(1),
  none: z.literal(true).optional(),
  ...Object.fromEntries(COUNTERS.map((name) => [name, count.optional()])),
  metrics: z
    .record(
      z.string(),
      z.strictObject({
        count: count.default(10_000),
        ...Object.fromEntries(METRIC_STATS.map((name) => [name, amount.optional()])),
      }),
    )
    .default({}),
  gauges: z.record(z.string(), amount).default({}),
})

const expected = z.strictObject({
  at: ruleDuration,
  state: z.enum(['firing', 'resolved']),
  rule: z.string().optional(),
})

/** The tests of a file of rules: windows that come one `every` so often, the first at 0m. */
export const ruleTests = z.array(
  z.strictObject({
    name: z.string().min(1),
    rule: z.string().optional(),
    series: z.record(z.string(), z.string()).default({}),
    every: ruleDuration.prefault('1m'),
    windows: z.array(window).min(1),
    expect: z.array(expected).default([]),
  }),
)

export type RuleTest = z.infer<typeof ruleTests>[number]

/** What of a test did not come as it says; empty when it did. */
export function runRuleTest(rules: readonly Rule[], test: RuleTest): readonly string[] {
  const own = rules.filter(({ name }) => test.rule === undefined || name === test.rule)
  if (own.length === 0) return [`there is no rule ${test.rule}`]
  const got = own.flatMap((rule) => {
    const events = tryRules([rule]).give(windowsOf(rule, test))
    return events.filter(({ series }) => !isOther(series)).map(textOf)
  })
  const only = own.length === 1 ? own[0]!.name : undefined
  const want = test.expect.map(
    ({ at, state, rule }) => `${rule ?? only ?? '?'} ${state} at ${at / 60_000}m`,
  )
  const names = new Set(own.flatMap(({ groupBy }) => groupBy))
  const unknown = Object.keys(test.series).filter((name) => !names.has(name))
  return [
    ...unknown.map((name) => `series: no rule of it is grouped by ${name}`),
    ...without(want, got).map((text) => `did not come: ${text}`),
    ...without(got, want).map((text) => `came: ${text}`),
  ]
}

/** What is left of `all` when each of `others` has taken one like it. */
function without(all: readonly string[], others: readonly string[]): string[] {
  const left = [...all]
  for (const one of others) if (left.includes(one)) left.splice(left.indexOf(one), 1)
  return left
}

function textOf({ rule, state, window_end }: TriggerEvent): string {
  return `${rule} ${state} at ${(window_end - START_MS) / 60_000}m`
}

/** Long enough ago that no window begins before 1970. */
const START_MS = 86_400_000

/** The value of all dimensions of the series that is never silent. */
const OTHER = '__other_series__'

function isOther(series: Aggregate['series']): boolean {
  return Object.values(series).includes(OTHER)
}

/** The windows of the series, and of another one, which also has one more at the end. */
function windowsOf(rule: Rule, test: RuleTest): Aggregate[] {
  const { groupBy, windowMs } = rule
  const dimension = (name: string) => test.series[name] ?? rule.series[name] ?? 'test'
  const series = Object.fromEntries(groupBy.map((name) => [name, dimension(name)]))
  const other = Object.fromEntries(groupBy.map((name) => [name, OTHER]))
  const nothing = {
    ...{ size_s: windowMs / 1000, final: true, revision: 0, incomplete: false },
    ...{ errors_by_type: {}, goodput: null, metrics: {}, gauges: {} },
    ...Object.fromEntries(COUNTERS.map((name) => [name, 0])),
  }
  const at = (minute: number) => {
    const end = START_MS + minute * test.every
    return { ...nothing, start: end - windowMs, end }
  }
  // The whole fleet has no other series.
  const others = (minute: number) =>
    groupBy.length === 0 ? [] : [{ ...at(minute), series: other }]
  const all = test.windows.flatMap((one) => Array.from({ length: one.times }, () => one))
  const windows = all.flatMap(({ times, none, metrics, gauges, ...counters }, i) => {
    const own = {
      ...{ ...at(i), ...counters, series },
      metrics: mapped(metrics, distributionOf),
      gauges: mapped(gauges, (v) => ({ count: 1, min: v, max: v, mean: v, last: v })),
    }
    return [...(none ? [] : [own]), ...others(i)]
  })
  return [...windows, ...others(all.length)] as Aggregate[]
}

/** A statistic that a test does not give is not there: what is compared with it is unknown. */
function distributionOf(given: z.infer<typeof window>['metrics'][string]): Distribution {
  const histogram = { scale: 0, zero_count: 0, offset: 0, counts: [] }
  return { ...given, histogram } as unknown as Distribution
}

function mapped<T, R>(all: Readonly<Record<string, T>>, of: (one: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(all).map(([name, one]) => [name, of(one)]))
}
