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
  const isPart = !isWhole || aggregate.incomplete
  const observed: Record<string, number> = {}
  const thresholds: Record<string, number> = {}
  const verdictOf = (part: Condition): Verdict => {
    switch (part.kind) {
      case 'all':
        return every(part.conditions.map(verdictOf))
      case 'any':
        return negate(every(part.conditions.map((inner) => negate(verdictOf(inner)))))
      case 'not':
        return negate(verdictOf(part.condition))
      case 'compare':
        return compare(part)
    }
  }
  const compare = (part: Comparison): Verdict => {
    const { reading, direction, threshold, minCount } = part
    const name = readingName(reading)
    const { value, samples } = read(reading, aggregate)
    const isOther = (thresholds[name] ?? threshold) !== threshold
    thresholds[isOther ? `${name} ${direction}` : name] = threshold
    if (value === null) return null
    observed[name] = value
    if (samples < minCount) return null
    if (reading.kind === 'rate' && isPart && direction === 'below') return null
    return direction === 'above' ? value > threshold : value < threshold
  }
  return { verdict: verdictOf(condition), observed, thresholds }
}

function every(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes(false)) return false
  return verdicts.includes(null) ? null : true
}

function negate(verdict: Verdict): Verdict {
  return verdict === null ? null : !verdict
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
