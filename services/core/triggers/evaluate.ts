import type { Aggregate } from '../../../schemas/records.ts'
import { type Comparison, type Condition, type Reading, readingName } from './rule.ts'

/** True, false, or unknown: no data, too few samples, or a window that began before the series. */
export type Verdict = boolean | null

export interface Evaluation {
  readonly verdict: Verdict
  /** What was read, by reading name. */
  readonly observed: Readonly<Record<string, number>>
  readonly thresholds: Readonly<Record<string, number>>
}

/**
 * Evaluates a condition on a final aggregate, by Kleene's logic. `isWhole` says that the series was
 * there for all of the window: else, or when the window is incomplete, a rate is no rate yet, and
 * being below something means nothing.
 */
export function evaluate(condition: Condition, aggregate: Aggregate, isWhole: boolean): Evaluation {
  const observed: Record<string, number> = {}
  const thresholds: Record<string, number> = {}
  for (const { reading, direction, threshold } of comparisonsOf(condition)) {
    const name = readingName(reading)
    const isOther = (thresholds[name] ?? threshold) !== threshold
    thresholds[isOther ? `${name} ${direction}` : name] = threshold
    const { value } = read(reading, aggregate)
    if (value !== null) observed[name] = value
  }
  return { verdict: verdictOf(condition, aggregate, isWhole), observed, thresholds }
}

/** The verdict of evaluate alone: nearly every window is asked for no more. */
export function verdictOf(condition: Condition, aggregate: Aggregate, isWhole: boolean): Verdict {
  switch (condition.kind) {
    case 'all':
      return decide(condition.conditions, false, aggregate, isWhole)
    case 'any':
      return decide(condition.conditions, true, aggregate, isWhole)
    case 'not': {
      const inner = verdictOf(condition.condition, aggregate, isWhole)
      return inner === null ? null : !inner
    }
    case 'compare':
      return compare(condition, aggregate, isWhole)
  }
}

/** Of several verdicts a decisive one decides; else an unknown one leaves it unknown. */
function decide(
  conditions: readonly Condition[],
  decisive: boolean,
  aggregate: Aggregate,
  isWhole: boolean,
): Verdict {
  let verdict: Verdict = !decisive
  for (const condition of conditions) {
    const own = verdictOf(condition, aggregate, isWhole)
    if (own === decisive) return decisive
    if (own === null) verdict = null
  }
  return verdict
}

function compare(comparison: Comparison, aggregate: Aggregate, isWhole: boolean): Verdict {
  const { reading, direction, threshold, minCount } = comparison
  const { value, samples } = read(reading, aggregate)
  if (value === null || samples < minCount) return null
  const isPart = !isWhole || aggregate.incomplete
  if (reading.kind === 'rate' && isPart && direction === 'below') return null
  return direction === 'above' ? value > threshold : value < threshold
}

function* comparisonsOf(condition: Condition): Iterable<Comparison> {
  if (condition.kind === 'compare') yield condition
  else if (condition.kind === 'not') yield* comparisonsOf(condition.condition)
  else for (const inner of condition.conditions) yield* comparisonsOf(inner)
}

/** The value of a reading, null when there is none, and from how many samples it is. */
function read(reading: Reading, aggregate: Aggregate): { value: number | null; samples: number } {
  switch (reading.kind) {
    case 'metric': {
      const distribution = aggregate.metrics[reading.metric]
      if (!distribution) return { value: null, samples: 0 }
      return { value: distribution[reading.stat], samples: distribution.count }
    }
    case 'rate': {
      const value = aggregate[reading.counter] / aggregate.size_s
      return { value, samples: aggregate[reading.counter] }
    }
    case 'ratio': {
      const samples = aggregate[reading.of]
      return { value: samples === 0 ? null : aggregate[reading.counter] / samples, samples }
    }
    case 'gauge': {
      const { gauges } = aggregate
      const gauge = Object.hasOwn(gauges, reading.gauge) ? gauges[reading.gauge] : undefined
      return gauge
        ? { value: gauge[reading.stat], samples: gauge.count }
        : { value: null, samples: 0 }
    }
  }
}
