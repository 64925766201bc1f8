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
 * being below something means nothing. `isOpen` says that the rule fires: then thresholds to leave
 * count.
 */
export function evaluate(
  condition: Condition,
  aggregate: Aggregate,
  isWhole: boolean,
  isOpen = false,
): Evaluation {
  const observed: Record<string, number> = {}
  const thresholds: Record<string, number> = {}
  for (const comparison of comparisonsOf(condition)) {
    const { reading, direction } = comparison
    const threshold = limitOf(comparison, isOpen)
    const name = readingName(reading)
    const isOther = (thresholds[name] ?? threshold) !== threshold
    thresholds[isOther ? `${name} ${direction}` : name] = threshold
    const { value } = read(reading, aggregate)
    if (value !== null) observed[name] = value
  }
  return { verdict: verdictOf(condition, aggregate, isWhole, isOpen), observed, thresholds }
}

/** The verdict of evaluate alone: nearly every window is asked for no more. */
export function verdictOf(
  condition: Condition,
  aggregate: Aggregate,
  isWhole: boolean,
  isOpen = false,
): Verdict {
  switch (condition.kind) {
    case 'all':
      return decide(condition.conditions, false, aggregate, isWhole, isOpen)
    case 'any':
      return decide(condition.conditions, true, aggregate, isWhole, isOpen)
    case 'not': {
      const inner = verdictOf(condition.condition, aggregate, isWhole, isOpen)
      return inner === null ? null : !inner
    }
    case 'compare':
      return compare(condition, aggregate, isWhole, isOpen)
  }
}

/** Of several verdicts a decisive one decides; else an unknown one leaves it unknown. */
function decide(
  conditions: readonly Condition[],
  decisive: boolean,
  aggregate: Aggregate,
  isWhole: boolean,
  isOpen: boolean,
): Verdict {
  let verdict: Verdict = !decisive
  for (const condition of conditions) {
    const own = verdictOf(condition, aggregate, isWhole, isOpen)
    if (own === decisive) return decisive
    if (own === null) verdict = null
  }
  return verdict
}

function compare(
  comparison: Comparison,
  aggregate: Aggregate,
  isWhole: boolean,
  isOpen: boolean,
): Verdict {
  const { reading, direction, minCount } = comparison
  const { value, samples } = read(reading, aggregate)
  if (value === null || samples < minCount) return null
  const isPart = !isWhole || aggregate.incomplete
  if (reading.kind === 'rate' && isPart && direction === 'below') return null
  const limit = limitOf(comparison, isOpen)
  return direction === 'above' ? value > limit : value < limit
}

function limitOf({ threshold, leave }: Comparison, isOpen: boolean): number {
  return isOpen && leave !== null ? leave : threshold
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
      // A test of a rule need not say all of them.
      return { value: distribution[reading.stat] ?? null, samples: distribution.count }
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
