import { expect } from 'chai'
import fc from 'fast-check'
import { secondsHistogram, secondsShift } from '../../../services/formats/otlp-histogram.ts'
import { distributionOf } from './records.ts'

const SCALE = 6
const VALUE_MAX_US = 2 ** 40
/** 2^((1/2 + 0.3796) / 64) - 1, see secondsShift. */
const ERROR_MAX = 0.0096

/** The only bucket that counts the one value. */
function bucketOf(us: number): number {
  const { positive } = secondsHistogram(distributionOf([us]))
  expect(positive.bucketCounts).to.deep.equal([1])
  return positive.offset
}

function bound(index: number): number {
  return 2 ** (index / 2 ** SCALE)
}

describe('formats/otlp-histogram', () => {
  it('moves a bucket by the whole number of buckets that is nearest to 10^6', () => {
    expect(secondsShift(6)).to.equal(-1276)
    for (let scale = -3; scale <= 10; scale++) {
      const exact = -(2 ** scale) * Math.log2(1e6)
      expect(Math.abs(secondsShift(scale) - exact), `scale ${scale}`).to.be.at.most(0.5)
    }
  })

  it('counts a value in its own bucket or the one below, and within 0.96 % of its middle', () => {
    let worst = 0
    const check = (us: number): void => {
      const seconds = us / 1e6
      const index = bucketOf(us)
      expect(seconds, `${us} µs`).to.be.above(bound(index) * (1 - 1e-12))
      expect(seconds, `${us} µs`).to.be.at.most(bound(index + 2))
      const error = Math.abs(bound(index + 0.5) / seconds - 1)
      expect(error, `${us} µs`).to.be.below(ERROR_MAX)
      worst = Math.max(worst, error)
    }
    for (let us = 1; us < 20_000; us++) check(us)
    fc.assert(fc.property(fc.integer({ min: 1, max: VALUE_MAX_US }), check), { numRuns: 5000 })
    fc.assert(
      fc.property(fc.double({ min: 0, max: 40, noNaN: true }), (e) => check(Math.round(2 ** e))),
    )
    // The bound is tight: it is not merely large enough.
    expect(worst).to.be.above(0.0093)
  })

  it('keeps every count, and divides sum, minimum and maximum', () => {
    const values = [0, 0, 1, 1000, 1001, 250_000, 123_456_789]
    const distribution = distributionOf(values)
    const seconds = secondsHistogram(distribution)
    expect(seconds).to.deep.equal({
      count: 7,
      sum: 123_708_791 / 1e6,
      min: 0,
      max: 123.456789,
      scale: 6,
      zeroCount: 2,
      positive: {
        offset: distribution.histogram.offset - 1276,
        bucketCounts: [...distribution.histogram.counts],
      },
      negative: { offset: 0, bucketCounts: [] },
    })
  })

  it('has no bucket when every value is zero', () => {
    const { zeroCount, positive } = secondsHistogram(distributionOf([0, 0]))
    expect({ zeroCount, positive }).to.deep.equal({
      zeroCount: 2,
      positive: { offset: 0, bucketCounts: [] },
    })
  })
})
