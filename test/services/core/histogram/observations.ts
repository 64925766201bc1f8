/** Values to count, how often each, and the plain answers to compare a distribution with. */
import fc from 'fast-check'
import type { SliceMetric } from '../../../../schemas/records.ts'
import {
  addValue,
  createDistribution,
  type Distribution,
  encodeDistribution,
  VALUE_MAX,
} from '../../../../services/core/histogram/distribution.ts'

/** A value in microseconds, and how many times it was seen. */
export type Observation = readonly [value: number, times: number]

const anyValue = fc.oneof(
  fc.constantFrom(0, 1, 2, VALUE_MAX),
  fc.nat(300),
  fc.nat(10_000_000),
  fc.integer({ min: 0, max: VALUE_MAX }),
)
const anyTimes = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 50 }))

/** Up to 40 observations of any size, zeros among them. */
export const anyObservations: fc.Arbitrary<Observation[]> = fc.array(fc.tuple(anyValue, anyTimes), {
  maxLength: 40,
})

/** As anyObservations, but at least one. */
export const someObservations = anyObservations.filter((observations) => observations.length > 0)

/** The distribution of the observations. */
export function distributionOf(observations: Iterable<Observation>): Distribution {
  const distribution = createDistribution()
  for (const [value, times] of observations) addValue(distribution, value, times)
  return distribution
}

/** Its record, with a list that nothing else holds a part of. */
export function recordOf(distribution: Distribution): SliceMetric {
  const { counts, ...record } = encodeDistribution(ID, distribution)
  return { ...record, counts: Array.from(counts) }
}

const ID = 4

/** The distribution of values given as how often each was seen. */
export function counted(times: Readonly<Record<number, number>>): Distribution {
  return distributionOf(Object.entries(times).map(([value, n]) => [Number(value), n]))
}

/** Every single value, sorted. */
export function sortedValues(observations: readonly Observation[]): Float64Array {
  const all = observations.flatMap(([value, times]) => new Array<number>(times).fill(value))
  return Float64Array.from(all).sort()
}

/**
 * The smallest value whose cumulative count reaches q * n, for q = thousandths / 1000, in whole
 * numbers.
 */
export function exactQuantile(sorted: Float64Array, thousandths: number): number {
  const rank = Math.max(1, Number((BigInt(thousandths) * BigInt(sorted.length) + 999n) / 1000n))
  return sorted[rank - 1]!
}
