import { expect } from 'chai'
import fc from 'fast-check'
import type { SliceMetric } from '../../../../schemas/records.ts'
import { bucketIndex } from '../../../../services/core/histogram/bucket.ts'
import {
  addValue,
  createDistribution,
  type Distribution,
  distributionResult,
  mergeDistribution,
} from '../../../../services/core/histogram/distribution.ts'
import { createAggregate } from '../../../../services/core/windows/slice.ts'
import { mergeSlice, sliceRecord } from '../../../records.ts'
import {
  anyObservations,
  distributionOf,
  recordOf,
  someObservations,
  sortedValues,
} from './observations.ts'

/** Through the bytes of a slice. */
function mergeEncoded(target: Distribution, record: SliceMetric): void {
  const into = createAggregate()
  into.metrics[record.id] = target
  mergeSlice(into, { ...sliceRecord(0, createAggregate()), metrics: [record] })
}

describe('core/histogram/distribution: counting', () => {
  it('keeps count, sum, squares, extremes and buckets exactly', () => {
    fc.assert(
      fc.property(someObservations, (observations) => {
        const got = recordOf(distributionOf(observations))
        const values = [...sortedValues(observations)]
        const buckets = values.filter((value) => value > 0).map(bucketIndex)
        const offset = buckets.length > 0 ? Math.min(...buckets) : 0
        const counts = new Array<number>(buckets.length && Math.max(...buckets) - offset + 1).fill(
          0,
        )
        for (const bucket of buckets) counts[bucket - offset]! += 1
        const total = (power: bigint) => values.reduce((sum, v) => sum + BigInt(v) ** power, 0n)
        const low = (sum: bigint) => Number(sum & (2n ** 52n - 1n))
        expect(got).to.deep.equal({
          id: 4,
          count: values.length,
          zero_count: values.length - buckets.length,
          sum_high: Number(total(1n) >> 52n),
          sum_low: low(total(1n)),
          squares_high: Number(total(2n) >> 52n),
          squares_low: low(total(2n)),
          min: values[0],
          max: values.at(-1),
          offset,
          counts,
        })
      }),
    )
  })

  it('counts a value n times as n times the value', () => {
    fc.assert(
      fc.property(someObservations, (observations) => {
        const singles = observations.flatMap(([value, times]) =>
          new Array<readonly [number, number]>(times).fill([value, 1]),
        )
        expect(recordOf(distributionOf(singles))).to.deep.equal(
          recordOf(distributionOf(observations)),
        )
      }),
    )
  })

  it('counts more than 2^32 in one bucket, whichever way they come', () => {
    const [value, times] = [1_000, 2 ** 31]
    const [many, added] = [distributionOf([[value, times - 2]]), distributionOf([[value, times]])]
    mergeDistribution(added, many)
    addValue(added, value, 2)
    mergeEncoded(added, recordOf(distributionOf([[value, times]])))
    expect(recordOf(added)).to.deep.include({ count: 3 * times })
    expect(recordOf(added).counts).to.deep.equal([3 * times])
  })

  it('keeps zeros apart from the buckets', () => {
    const { counts, zero_count, offset } = recordOf(distributionOf([[0, 3]]))
    expect({ counts, zero_count, offset }).to.deep.equal({ counts: [], zero_count: 3, offset: 0 })
  })
})

describe('core/histogram/distribution: merging', () => {
  it('gives the same bytes and results for any order and split of the same values', () => {
    const input = fc
      .tuple(someObservations, fc.array(fc.nat(3), { minLength: 40, maxLength: 40 }))
      .chain(([observations, parts]) =>
        fc.tuple(
          fc.constant(observations),
          fc.constant(parts),
          fc.shuffledSubarray(observations, { minLength: observations.length }),
        ),
      )
    fc.assert(
      fc.property(input, ([observations, parts, shuffled]) => {
        const whole = distributionOf(observations)
        const merged = createDistribution()
        for (const part of [2, 0, 3, 1]) {
          mergeDistribution(merged, distributionOf(shuffled.filter((_, i) => parts[i] === part)))
        }
        expect(recordOf(merged)).to.deep.equal(recordOf(whole))
        expect(distributionResult(merged, 0)).to.deep.equal(distributionResult(whole, 0))
      }),
      { numRuns: 500 },
    )
  })

  it('is associative and commutative', () => {
    const merge = (...parts: Parameters<typeof mergeDistribution>[1][]) => {
      const target = createDistribution()
      for (const part of parts) mergeDistribution(target, part)
      return target
    }
    fc.assert(
      fc.property(fc.tuple(anyObservations, anyObservations, anyObservations), (three) => {
        const [a, b, c] = three.map(distributionOf) as [never, never, never]
        const bytes = recordOf(merge(merge(a, b), c))
        expect(recordOf(merge(a, merge(b, c)))).to.deep.equal(bytes)
        expect(recordOf(merge(c, b, a))).to.deep.equal(bytes)
      }),
    )
  })

  it('leaves what is merged as it was', () => {
    fc.assert(
      fc.property(anyObservations, someObservations, (observations, others) => {
        const other = distributionOf(others)
        const target = distributionOf(observations)
        mergeDistribution(target, other)
        mergeDistribution(target, other)
        expect(recordOf(other)).to.deep.equal(recordOf(distributionOf(others)))
      }),
    )
  })
})

describe('core/histogram/distribution: on the wire', () => {
  it('comes back the same from its record', () => {
    fc.assert(
      fc.property(someObservations, (observations) => {
        const source = distributionOf(observations)
        const back = createDistribution()
        mergeEncoded(back, recordOf(source))
        expect(recordOf(back)).to.deep.equal(recordOf(source))
        expect(distributionResult(back, 0)).to.deep.equal(distributionResult(source, 0))
      }),
    )
  })

  it('merges a record as it merges the distribution', () => {
    fc.assert(
      fc.property(anyObservations, someObservations, (observations, others) => {
        const target = distributionOf(observations)
        mergeEncoded(target, recordOf(distributionOf(others)))
        expect(recordOf(target)).to.deep.equal(
          recordOf(distributionOf([...observations, ...others])),
        )
      }),
    )
  })

  it('writes no empty bucket at either end', () => {
    fc.assert(
      fc.property(someObservations, (observations) => {
        const { counts } = recordOf(distributionOf(observations))
        expect([counts[0], counts.at(-1)]).not.to.include(0)
      }),
    )
  })
})
