import { expect } from 'chai'
import fc from 'fast-check'
import { createOffsetSet } from '../../../services/lens/offset-set.ts'

describe('lens/offset-set', () => {
  it('is a set, of close and of distant offsets', () => {
    const offset = fc.oneof(fc.nat(20_000), fc.maxSafeNat())
    fc.assert(
      fc.property(fc.array(offset), offset, (offsets, other) => {
        const plain = new Set<number>()
        const set = createOffsetSet()
        for (const each of offsets) expect(set.add(each)).equal(plain.size < plain.add(each).size)
        expect(set.size()).equal(plain.size)
        expect(set.has(other)).equal(plain.has(other))
      }),
    )
  })
})
