import { z } from 'zod'
import { MEASURES } from '../core/measure/measures.ts'
import {
  COUNTERS,
  type Condition,
  GAUGE_STATS,
  METRIC_STATS,
  type Reading,
} from '../core/triggers/rule.ts'

const DURATION_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

/** Powers of ten, written behind the digits: 69% is 0.69, which 69 * 0.01 is not. */
const THRESHOLD_EXPONENTS: Readonly<Record<string, number>> = {
  '': 0,
  us: 0,
  ms: 3,
  s: 6,
  '%': -2,
  '/s': 0,
}

/** 30s, 5m or 1h; the value is in milliseconds. */
export const ruleDuration = z.union([z.string(), z.number()]).transform((text, context) => {
  const match = /^(\d+)(s|m|h)$/.exec(String(text))
  if (match) return Number(match[1]) * DURATION_MS[match[2]!]!
  context.addIssue(`${JSON.stringify(text)} is not a duration; write 30s, 5m or 1h`)
  return z.NEVER
})

/** 100ms and 2s are times (kept in microseconds), 90% a share, 10/s a rate, 5 is 5. */
export const ruleThreshold = z.union([z.number(), z.string()]).transform((text, context) => {
  if (typeof text === 'number') return { value: text, unit: '' }
  const match = /^(-?\d+(?:\.\d+)?)\s*(us|ms|s|%|\/s)?$/.exec(text)
  const unit = match?.[2] ?? ''
  if (match) return { value: Number(`${match[1]}e${THRESHOLD_EXPONENTS[unit]}`), unit }
  context.addIssue(
    `${JSON.stringify(text)} is no threshold; write 100ms, 2s, 90%, 10/s or a number`,
  )
  return z.NEVER
})

const metricNames = MEASURES.map((measure) => measure.name) as [string, ...string[]]
const compared = {
  above: ruleThreshold.optional(),
  below: ruleThreshold.optional(),
  clearBelow: ruleThreshold.optional(),
  clearAbove: ruleThreshold.optional(),
  minCount: z.int().min(0).optional(),
}

/**
 * Samples without which a percentile says little: of n there is none above the true one with the
 * probability q^n, 0.6 % for p95 of 100, 0.7 % for p99 of 500.
 */
const MIN_COUNTS: Readonly<Partial<Record<string, number>>> = {
  p90: 50,
  p95: 100,
  p99: 500,
  p999: 5000,
}

const comparisons = [
  z.strictObject({ metric: z.enum(metricNames), stat: z.enum(METRIC_STATS), ...compared }),
  z.strictObject({ rate: z.enum(COUNTERS), ...compared }),
  z.strictObject({ ratio: z.enum(COUNTERS), of: z.enum(COUNTERS), ...compared }),
  z.strictObject({
    gauge: z.string().min(1),
    stat: z.enum(GAUGE_STATS).default('mean'),
    ...compared,
  }),
] as const

type ComparisonText = z.infer<(typeof comparisons)[number]>

/** Which schema checks a condition is told by its first word, so that an error names one fault. */
export const ruleCondition: z.ZodType<Condition> = z.lazy(() =>
  z.record(z.string(), z.unknown()).transform((text, context): Condition => {
    const kinds = ['all', 'any', 'not', 'metric', 'rate', 'ratio', 'gauge'].filter((k) => k in text)
    const kind = kinds[0]
    if (!kind || kinds.length > 1) {
      context.addIssue('a condition has exactly one of all, any, not, metric, rate, ratio, gauge')
      return z.NEVER
    }
    const parsed = conditionSchemas[kind]!.safeParse(text)
    if (parsed.success) return parsed.data
    for (const issue of parsed.error.issues) {
      context.addIssue({ code: 'custom', message: issue.message, path: issue.path })
    }
    return z.NEVER
  }),
)

const many = z.array(ruleCondition).min(1)
const conditionSchemas: Readonly<Record<string, z.ZodType<Condition>>> = {
  all: z.strictObject({ all: many }).transform((c) => ({ kind: 'all', conditions: c.all })),
  any: z.strictObject({ any: many }).transform((c) => ({ kind: 'any', conditions: c.any })),
  not: z.strictObject({ not: ruleCondition }).transform((c) => ({ kind: 'not', condition: c.not })),
  metric: comparisons[0].transform(toComparison),
  rate: comparisons[1].transform(toComparison),
  ratio: comparisons[2].transform(toComparison),
  gauge: comparisons[3].transform(toComparison),
}

function toComparison(text: ComparisonText, context: z.RefinementCtx): Condition {
  const { above, below } = text
  if ((above === undefined) === (below === undefined)) {
    context.addIssue('a comparison has exactly one of above, below')
    return z.NEVER
  }
  const isAbove = above !== undefined
  const [clear, other] = isAbove
    ? (['clearBelow', 'clearAbove'] as const)
    : (['clearAbove', 'clearBelow'] as const)
  const leave = text[clear]
  const { value } = (above ?? below)!
  const units = unitsOf(text)
  const wrong = [above, below, leave].find((one) => one && !units.includes(one.unit))
  if (wrong) {
    const list = units.filter((allowed) => allowed !== '').join(', ')
    context.addIssue(
      `a threshold in ${wrong.unit} cannot be compared with this; write ${list} or a number`,
    )
  }
  if (text[other]) context.addIssue(`what is ${isAbove ? 'above' : 'below'} is left by ${clear}`)
  const isBeyond = leave && (isAbove ? leave.value > value : leave.value < value)
  if (isBeyond) context.addIssue(`${clear} is on the far side of the threshold`)
  return {
    kind: 'compare',
    reading: readingOf(text),
    direction: isAbove ? 'above' : 'below',
    threshold: value,
    leave: leave?.value ?? null,
    minCount: text.minCount ?? minCountOf(text),
  }
}

function minCountOf(text: ComparisonText): number {
  if ('rate' in text) return 0
  return ('metric' in text && MIN_COUNTS[text.stat]) || 1
}

/** The units in which a reading can be compared. */
function unitsOf(text: ComparisonText): readonly string[] {
  if ('rate' in text) return ['', '/s']
  const isTime = 'metric' in text && text.metric.endsWith('_us')
  return isTime ? ['', 'us', 'ms', 's'] : ['', '%']
}

function readingOf(text: ComparisonText): Reading {
  if ('metric' in text) return { kind: 'metric', metric: text.metric, stat: text.stat }
  if ('rate' in text) return { kind: 'rate', counter: text.rate }
  if ('ratio' in text) return { kind: 'ratio', counter: text.ratio, of: text.of }
  return { kind: 'gauge', gauge: text.gauge, stat: text.stat }
}
