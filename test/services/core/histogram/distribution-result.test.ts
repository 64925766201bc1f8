import { expect } from 'chai'
import fc from 'fast-check'
import { bucketIndex, bucketMiddle } from '../../../../services/core/histogram/bucket.ts'
import {
  type Distribution,
  distributionResult,
  quantile,
} from '../../../../services/core/histogram/distribution.ts'
import {
  counted,
  distributionOf,
  exactQuantile,
  someObservations,
  sortedValues,
} from './observations.ts'

const HALF_BUCKET = (2 ** (1 / 128) - 1) * (1 + 1e-12)
/** Values in the upper and in the lower half of their buckets. */
const UPPER = 1000
const LOWER = 1003
const PUBLISHED = { p50: 500, p90: 900, p95: 950, p99: 990, p999: 999 } as const

/** Quantiles whose double times any count rounds to the exact product. */
const anyThousandths = fc.constantFrom(1, 125, 250, 375, 500, 750, 900, 950, 990, 999, 1000)

/** The exact standard deviation of the population, from n * sum(x^2) - sum(x)^2. */
function exactDeviation(sorted: Float64Array): number {
  const values = [...sorted].map(BigInt)
  const sum = values.reduce((total, value) => total + value, 0n)
  const squares = values.reduce((total, value) => total + value * value, 0n)
  const n = BigInt(values.length)
  return Math.sqrt(Number(n * squares - sum * sum)) / values.length
}

describe('core/histogram/distribution: quantile', () => {
  it('is the smallest value whose cumulative count reaches q * n, within half a bucket', () => {
    fc.assert(
      fc.property(someObservations, anyThousandths, (observations, q) => {
        const sorted = sortedValues(observations)
        const want = exactQuantile(sorted, q)
        const got = quantile(distributionOf(observations), q / 1000)
        expect(Math.abs(got - want)).to.be.at.most(want * HALF_BUCKET)
        expect(got).to.be.within(sorted[0]!, sorted.at(-1)!)
      }),
      { numRuns: 2000 },
    )
  })

  it('takes the very value at the rank, not its neighbour, for every published quantile', () => {
    const wrong: string[] = []
    for (const [name, thousandths] of Object.entries(PUBLISHED)) {
      for (let k = 1; k <= 2000; k++) {
        const n = 1000 * k
        const at = (ones: number) =>
          quantile(counted({ 1: ones, 1000: n - ones }), thousandths / 1000)
        const reached = thousandths * k
        if (at(reached) !== 1 || at(reached - 1) < 990) wrong.push(`${name} of ${n}`)
      }
    }
    expect(wrong).to.deep.equal([])
  })

  it('is the middle of its bucket when that lies between the extremes', () => {
    const inner = quantile(counted({ 10: 1, 5000: 1, 900000: 1 }), 0.5)
    expect(inner).to.equal(bucketMiddle(bucketIndex(5_000)))
  })

  const clamped: readonly (readonly [string, Distribution, number, number])[] = [
    ['to the minimum', counted({ [UPPER]: 1, 9000: 1 }), 0.01, UPPER],
    ['to the maximum', counted({ 3: 1, [LOWER]: 1 }), 1, LOWER],
    ['to the lower single value', counted({ [LOWER]: 1 }), 0.5, LOWER],
    ['to the upper single value', counted({ [UPPER]: 1 }), 0.5, UPPER],
  ]
  for (const [name, distribution, q, want] of clamped) {
    it(`is clamped ${name}`, () => {
      expect(quantile(distribution, q)).to.equal(want)
    })
  }

  it('counts zeros as the smallest values', () => {
    const distribution = counted({ 0: 5, 100: 5 })
    expect([0.1, 0.5, 0.51, 1].map((q) => quantile(distribution, q))).to.deep.equal([
      0, 0, 100, 100,
    ])
    expect(quantile(counted({ 0: 1 }), 1)).to.equal(0)
  })
})

describe('core/histogram/distribution: result', () => {
  it('publishes the exact count, sum, extremes, mean and deviation', () => {
    fc.assert(
      fc.property(someObservations, (observations) => {
        const sorted = sortedValues(observations)
        const sum = Number([...sorted].reduce((total, value) => total + BigInt(value), 0n))
        const got = distributionResult(distributionOf(observations), 0)
        expect([got.count, got.sum, got.min, got.max, got.mean]).to.deep.equal([
          sorted.length,
          sum,
          sorted[0],
          sorted.at(-1),
          sum / sorted.length,
        ])
        expect(got.stddev).to.equal(exactDeviation(sorted))
      }),
    )
  })

  it('has no deviation when all values are the same, however large', () => {
    const { stddev } = distributionResult(counted({ [2 ** 40 - 1]: 1_000_003 }), 0)
    expect(stddev).to.equal(0)
  })

  it('takes the deviation of the population, not of a sample', () => {
    expect(distributionResult(counted({ 1: 1, 3: 1 }), 0).stddev).to.equal(1)
  })

  it('publishes p50 to p999 as the quantiles of those names', () => {
    fc.assert(
      fc.property(someObservations, (observations) => {
        const distribution = distributionOf(observations)
        const got = distributionResult(distribution, 0)
        for (const [name, thousandths] of Object.entries(PUBLISHED)) {
          expect(got[name as 'p50']).to.equal(quantile(distribution, thousandths / 1000))
        }
      }),
    )
  })

  it('publishes the buckets of OTLP scale 6, the zeros apart', () => {
    const { histogram } = distributionResult(counted({ 0: 2, 1: 3, 2: 4 }), 0)
    const counts = [3, ...new Array<number>(63).fill(0), 4]
    expect(histogram).to.deep.equal({ scale: 6, zero_count: 2, offset: -1, counts })
    const zeros = distributionResult(counted({ 0: 2 }), 20).histogram
    expect(zeros).to.deep.equal({ scale: 6, zero_count: 2, offset: 0, counts: [] })
  })

  it('divides every value by 2^unitShift and moves the buckets by as many octaves', () => {
    fc.assert(
      fc.property(someObservations, fc.integer({ min: 0, max: 20 }), (observations, shift) => {
        const distribution = distributionOf(observations)
        const { histogram, count, ...values } = distributionResult(distribution, 0)
        const shifted = distributionResult(distribution, shift)
        const empty = histogram.counts.length === 0
        const offset = empty ? 0 : histogram.offset - shift * 64
        const scaled = Object.entries(values).map(([name, value]) => [name, value / 2 ** shift])
        expect(shifted).to.deep.equal({
          ...Object.fromEntries(scaled),
          count,
          histogram: { ...histogram, offset },
        })
      }),
    )
  })
})
