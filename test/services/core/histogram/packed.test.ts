import { expect } from 'chai'
import fc from 'fast-check'
import {
  createDistribution,
  encodeDistribution,
  mergeDistribution,
} from '../../../../services/core/histogram/distribution.ts'
import {
  beginPacking,
  mergePackedDistribution,
  packDistribution,
  packInteger,
  readInteger,
  takePacked,
} from '../../../../services/core/histogram/packed.ts'
import { distributionOf, someObservations } from './observations.ts'

const LIMIT = 2 ** 52 - 1

describe('core/histogram/packed', () => {
  it('gives every integer of 52 bits back, of either sign', () => {
    const any = fc.oneof(
      fc.constantFrom(0, 1, -1, 63, 64, -64, -65, LIMIT, -LIMIT),
      fc.integer({ min: -300, max: 300 }),
      fc.maxSafeInteger().map((value) => Math.trunc(value / 2)),
    )
    fc.assert(
      fc.property(fc.array(any, { maxLength: 2_000 }), (values) => {
        beginPacking()
        for (const value of values) packInteger(value)
        const reader = { bytes: takePacked(true), at: 0 }
        // + 0: there is no sign of zero in it.
        expect(values.map(() => readInteger(reader) + 0)).deep.equal(values.map((v) => v + 0))
        expect(reader.at).equal(reader.bytes.length)
      }),
    )
  })

  it('adds a packed distribution as it adds the distribution itself', () => {
    fc.assert(
      fc.property(someObservations, someObservations, (one, two) => {
        const [plain, packed] = [distributionOf(one), distributionOf(one)]
        mergeDistribution(plain, distributionOf(two))
        beginPacking()
        packDistribution(distributionOf(two))
        mergePackedDistribution(packed, { bytes: takePacked(true), at: 0 })
        expect(encodeDistribution(0, packed)).deep.equal(encodeDistribution(0, plain))
      }),
    )
  })

  it('takes a byte for a small count, and two for any number of empty buckets', () => {
    const sizeOf = (values: readonly number[]) => {
      beginPacking()
      packDistribution(distributionOf(values.map((value) => [value, 1])))
      return takePacked(true).length
    }
    const [near, far] = [sizeOf([1000, 1011]), sizeOf([1000, 1_000_000])]
    expect(near).below(30)
    expect(far - near).below(10)
  })

  it('keeps counts of any length', () => {
    const counts = [1, 63, 64, 127, 8_191, 8_192, 2 ** 20, 2 ** 21, 2 ** 35, 2 ** 42]
    const source = distributionOf(counts.map((times, i) => [2 ** i, times]))
    beginPacking()
    packDistribution(source)
    const target = createDistribution()
    const reader = { bytes: takePacked(true), at: 0 }
    mergePackedDistribution(target, reader)
    expect(encodeDistribution(0, target)).deep.equal(encodeDistribution(0, source))
    expect(reader.at).equal(reader.bytes.length)
  })

  it('adds to an empty one', () => {
    beginPacking()
    packDistribution(distributionOf([[0, 3]]))
    const target = createDistribution()
    mergePackedDistribution(target, { bytes: takePacked(true), at: 0 })
    expect(target).deep.include({ count: 3, zeroCount: 3, min: 0, max: 0 })
  })

  it('keeps what is one of many beside the others, and any other by itself', () => {
    const packed = (isOneOfMany: boolean) => {
      beginPacking()
      for (let i = 0; i < 100; i++) packInteger(i)
      return takePacked(isOneOfMany)
    }
    const [first, alone, second] = [packed(true), packed(false), packed(true)]
    expect([...alone]).to.deep.equal([...first])
    expect([...second]).to.deep.equal([...first])
    expect(second.buffer === first.buffer).to.equal(true)
    expect(second.byteOffset).to.equal(first.byteOffset + first.length)
    expect(alone.buffer.byteLength).to.equal(alone.length)
  })
})
