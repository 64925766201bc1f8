import { expect } from 'chai'
import {
  bucketIndex,
  bucketIndexOfInt,
  bucketMiddle,
  SCALE,
} from '../../../../services/core/histogram/bucket.ts'
import { createRandom } from '../../../../services/core/random.ts'

const VALUE_MAX = 2 ** 40
/** Half a bucket of scale 6: how far the middle may lie from a value in the bucket. */
const HALF_BUCKET = 2 ** (1 / 128) - 1

/** Whether base^i < value <= base^(i+1), base = 2^(1/64), in whole numbers: no rounding. */
function isInBucket(value: number, index: number): boolean {
  // Both sides to the 64th power, and doubled, since the bucket of 1 is -1.
  const power = (BigInt(value) ** 64n) << 1n
  return 1n << BigInt(index + 1) < power && power <= 1n << BigInt(index + 2)
}

function expectExact(values: Iterable<number>): void {
  const wrong: string[] = []
  for (const value of values) {
    const index = bucketIndex(value)
    const ofInt = value < 2 ** 31 ? bucketIndexOfInt(value) : index
    if (index !== ofInt || !Number.isInteger(index) || index < -1 || !isInBucket(value, index)) {
      wrong.push(`${value} in ${index}`)
    }
  }
  expect(wrong.slice(0, 10)).to.deep.equal([])
}

/** `count` integers from 1 to 2^40, every order of magnitude alike. */
function* anyValues(count: number, seed: number): Iterable<number> {
  const random = createRandom(seed)
  for (let i = 0; i < count; i++) yield Math.max(1, Math.floor(2 ** (random() * 40)))
}

describe('core/histogram/bucket: index', () => {
  it('is exact for every integer to 20,000', () => {
    expectExact(Array.from({ length: 20_000 }, (_, i) => i + 1))
  })

  it('is exact for every power of two and its neighbours to 2^40', () => {
    const powers = Array.from({ length: 41 }, (_, e) => 2 ** e)
    const near = powers.flatMap((power) => [power - 2, power - 1, power, power + 1, power + 2])
    expectExact(near.filter((value) => value >= 1 && value <= VALUE_MAX))
  })

  it('is exact on both sides of every bucket boundary to 2^40', () => {
    const boundaries = Array.from({ length: 40 * 64 }, (_, i) => Math.floor(2 ** (i / 64)))
    const near = boundaries.flatMap((value) => [value - 1, value, value + 1])
    expectExact(near.filter((value) => value >= 1))
  })

  it('is exact for integers drawn from 1 to 2^40', () => {
    expectExact(anyValues(20_000, 1))
  })

  it('begins with 1 in bucket -1 and ends with 2^40 in bucket 2559', () => {
    expect([1, 2, 3, VALUE_MAX - 1, VALUE_MAX].map(bucketIndex)).to.deep.equal([
      -1, 63, 101, 2559, 2559,
    ])
  })

  it('never falls as the value grows', () => {
    const sorted = Float64Array.from(anyValues(20_000, 2)).sort()
    let before = bucketIndex(1)
    for (const value of sorted) {
      const index = bucketIndex(value)
      expect(index).to.be.at.least(before)
      before = index
    }
  })

  it('does not depend on the value that was looked up before', () => {
    const values = [1, VALUE_MAX, 3, 2 ** 32, 2 ** 32 - 1, 7]
    const forwards = values.map(bucketIndex)
    expect(values.toReversed().map(bucketIndex).toReversed()).to.deep.equal(forwards)
  })
})

describe('core/histogram/bucket: middle', () => {
  it('lies within half a bucket, 0.55 %, of every value of the bucket', () => {
    let worst = 0
    for (const values of [Array.from({ length: 20_000 }, (_, i) => i + 1), anyValues(20_000, 3)]) {
      for (const value of values) {
        worst = Math.max(worst, Math.abs(bucketMiddle(bucketIndex(value)) - value) / value)
      }
    }
    expect(worst).to.be.at.most(HALF_BUCKET * (1 + 1e-12))
    expect(HALF_BUCKET).to.be.below(0.0055)
  })

  it('is the logarithmic middle of the limits that OTLP gives a bucket of scale 6', () => {
    expect(SCALE).to.equal(6)
    for (const index of [-1, 0, 63, 64, 1000, 2559]) {
      const low = 2 ** (index / 64)
      const high = 2 ** ((index + 1) / 64)
      expect(bucketMiddle(index)).to.be.closeTo(Math.sqrt(low * high), high * 1e-14)
    }
  })
})
