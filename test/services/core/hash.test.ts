import { expect } from 'chai'
import fc from 'fast-check'
import { hash32, partitionOf } from '../../../services/core/hash.ts'

describe('core/hash', () => {
  // Answers of the FNV authors' own table (FNV-1a, 32 bits), and of UTF-8 beyond ASCII.
  const known: readonly (readonly [string, number])[] = [
    ['', 2166136261],
    ['a', 3826002220],
    ['b', 3876335077],
    ['foobar', 3214735720],
  ]
  for (const [text, hash] of known) {
    it(`gives ${hash} for ${JSON.stringify(text)}`, () => {
      expect(hash32(text)).to.equal(hash)
    })
  }

  it('hashes the bytes of UTF-8, as BigInt arithmetic does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        let want = 0x811c9dc5n
        for (const byte of Buffer.from(text)) {
          want = ((want ^ BigInt(byte)) * 0x01000193n) & 0xffffffffn
        }
        expect(hash32(text)).to.equal(Number(want))
      }),
    )
  })

  it('gives a partition within range, the same one each time', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 1000 }), (key, partitions) => {
        const partition = partitionOf(key, partitions)
        expect(partition).to.be.within(0, partitions - 1)
        expect(partition).to.equal(hash32(key) % partitions)
      }),
    )
  })

  it('leaves no partition out', () => {
    const counts = new Array<number>(12).fill(0)
    for (let i = 0; i < 12_000; i++) counts[partitionOf(`{"model":"m-${i}"}`, 12)]! += 1
    for (const count of counts) expect(count).to.be.within(800, 1200)
  })
})
