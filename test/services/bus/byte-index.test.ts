import { expect } from 'chai'
import fc from 'fast-check'
import { createByteIndex, hashWords } from '../../../services/bus/byte-index.ts'

/** Somewhere within a longer buffer. */
function viewOf(bytes: Uint8Array): readonly [DataView, number, number] {
  const within = Uint8Array.of(9, ...bytes, 9)
  return [new DataView(within.buffer), 1, bytes.length]
}

/** The number of the bytes, which are added when they are new. */
function numberOf(index: ReturnType<typeof createByteIndex>, bytes: Uint8Array): number {
  const known = index.find(...viewOf(bytes))
  return known >= 0 ? known : index.add()
}

function bytesOf(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16)
}

describe('bus/byte-index', () => {
  it('numbers what is new in order, and finds it again, as a map by text does', () => {
    const runs = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 200 })
    const property = fc.property(runs, (all) => {
      const index = createByteIndex()
      const expected = new Map<string, number>()
      for (const bytes of all) {
        const text = bytes.join()
        if (!expected.has(text)) expected.set(text, expected.size)
        expect(numberOf(index, bytes)).to.equal(expected.get(text))
      }
    })
    fc.assert(property, { numRuns: 200 })
  })

  it('grows, and keeps every number', () => {
    const index = createByteIndex()
    for (let i = 0; i < 20_000; i++) expect(numberOf(index, bytesOf(i))).to.equal(i)
    for (let i = 0; i < 20_000; i++) expect(index.find(...viewOf(bytesOf(i)))).to.equal(i)
  })

  it('tells bytes apart that end in zeros', () => {
    const index = createByteIndex()
    const all = [0, 1, 3, 4, 5, 8, 9].map((length) => new Uint8Array(length))
    expect(all.map((bytes) => numberOf(index, bytes))).to.deep.equal(all.map((_, i) => i))
  })

  it('begins again at 0 once it is cleared', () => {
    const index = createByteIndex()
    for (let i = 0; i < 3_000; i++) numberOf(index, bytesOf(i))
    index.clear()
    expect(index.find(...viewOf(bytesOf(7)))).to.equal(-1)
    expect(index.add()).to.equal(0)
  })

  it('has hashes that differ in all their bits for bytes that differ in one', () => {
    const into = new Int32Array(16)
    const bytes = Uint8Array.from({ length: 37 }, (_, i) => i)
    const hash = () => hashWords(new DataView(bytes.buffer), 0, bytes.length, into)
    const before = hash()
    let changed = 0
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      let differing = before ^ hash()
      for (; differing !== 0; differing &= differing - 1) changed++
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
    expect(changed / (8 * bytes.length)).to.be.within(10, 22)
  })
})
