import { expect } from 'chai'
import fc from 'fast-check'
import { createAvroGuard } from '../../../services/bus/avro-guard.ts'
import { avroType, SCHEMAS, schemaNamed, valuesOf } from './avro-arbitrary.ts'

const ARRAY = { type: 'array', items: 'string' }
const MAP = { type: 'map', values: 'long' }

/** A zigzag varint, also beyond 2^53. */
function varint(value: bigint): number[] {
  const bytes: number[] = []
  let left = value >= 0n ? value * 2n : -value * 2n - 1n
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80)
  return [...bytes, Number(left)]
}

function guarded(schema: unknown, bytes: readonly number[]) {
  return createAvroGuard(schema)(Uint8Array.from(bytes), 0)
}

describe('bus/avro-guard', () => {
  for (const { name, json, type } of SCHEMAS) {
    const guard = createAvroGuard(json)

    it(`lets every value of ${name} pass and none of its beginnings`, () => {
      const property = fc.property(valuesOf(json), (value) => {
        const bytes = type.toBuffer(value)
        expect(guard(bytes, 0)).to.equal(null)
        for (let end = 0; end < bytes.length; end++) {
          expect(guard(bytes.subarray(0, end), 0), `of ${end} bytes`).to.equal('truncated')
        }
      })
      fc.assert(property, { numRuns: 40 })
    })

    it(`judges any bytes as ${name}, so that avsc reads what passes to its end or throws`, () => {
      const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        if (guard(bytes, 0) !== null) return
        try {
          expect(type.decode(Buffer.from(bytes), 0).offset).to.equal(bytes.length)
        } catch (error) {
          expect((error as Error).message).to.match(/invalid|unsafe|missing|undefined|enum/i)
        }
      })
      fc.assert(property, { numRuns: 300 })
    })
  }

  it('refuses a flipped byte of a valid record or lets avsc read it to its end', () => {
    const { json, type } = schemaNamed('window-slice')
    const guard = createAvroGuard(json)
    const flip = fc.tuple(valuesOf(json), fc.nat(), fc.integer({ min: 1, max: 255 }))
    const property = fc.property(flip, ([value, at, mask]) => {
      const bytes = type.toBuffer(value)
      bytes[at % bytes.length]! ^= mask
      if (guard(bytes, 0) !== null) return
      let offset = bytes.length
      try {
        ;({ offset } = type.decode(bytes, 0))
      } catch {}
      expect(offset).to.equal(bytes.length)
    })
    fc.assert(property, { numRuns: 1_000 })
  })

  it('refuses 200 million items that are claimed in 6 bytes', () => {
    const claim = varint(200_000_000n)
    expect(guarded(ARRAY, [...claim, 0, 0])).to.equal('truncated')
    expect(guarded(MAP, [...claim, 0, 0])).to.equal('truncated')
  })

  it('refuses the same claim in a negative count, whatever block size follows', () => {
    const claim = varint(-200_000_000n)
    for (const size of [0n, 1n, -1n, 2n ** 40n]) {
      expect(guarded(ARRAY, [...claim, ...varint(size)])).to.equal('truncated')
      expect(guarded(MAP, [...claim, ...varint(size)])).to.equal('truncated')
    }
  })

  it('takes blocks with a negative count and their size in bytes', () => {
    // Two strings of one byte, in 4 bytes; then a block of one; then the end.
    const bytes = [...varint(-2n), ...varint(4n), 2, 0x61, 2, 0x62, 2, 2, 0x63, 0]
    expect(guarded(ARRAY, bytes)).to.equal(null)
    expect(avroType(ARRAY).fromBuffer(Buffer.from(bytes))).to.deep.equal(['a', 'b', 'c'])
  })

  // A reader that leaves a field out jumps by this size: avsc then loops for ever, or reads counts
  // at a place that nobody has looked at.
  it('refuses a block size other than the bytes that the items take', () => {
    for (const size of [-4n, -3n, 0n, 1n, 3n, 1000n]) {
      const bytes = [...varint(-1n), ...varint(size), 2, 0x61, 0]
      expect(guarded(ARRAY, bytes), `size ${size}`).to.be.oneOf(['invalid_value', 'truncated'])
      const entry = [...varint(-1n), ...varint(size + 1n), 2, 0x61, 8, 0]
      expect(guarded(MAP, entry), `size ${size}`).to.be.oneOf(['invalid_value', 'truncated'])
    }
  })

  it('refuses records that are nested more deeply than 32', () => {
    const node = {
      name: 'Node',
      type: 'record',
      fields: [{ name: 'next', type: ['null', 'Node'] }],
    }
    const chain = (depth: number) => [...Array.from({ length: depth - 1 }, () => 2), 0]
    expect(guarded(node, chain(32))).to.equal(null)
    expect(guarded(node, chain(33))).to.equal('invalid_value')
    expect(guarded(node, chain(100_000))).to.equal('invalid_value')
  })

  it('refuses arrays that are nested without an end', () => {
    const tree = {
      name: 'Tree',
      type: 'record',
      fields: [{ name: 'all', type: { type: 'array', items: 'Tree' } }],
    }
    const bytes = Array.from({ length: 100_000 }, () => 2)
    expect(guarded(tree, bytes)).to.equal('invalid_value')
  })

  it('refuses bytes behind the end of the record', () => {
    const { json, type } = schemaNamed('resource-sample')
    const value = fc.sample(valuesOf(json), { numRuns: 1, seed: 1 })[0]
    const bytes = Buffer.concat([type.toBuffer(value), Buffer.of(0)])
    expect(createAvroGuard(json)(bytes, 0)).to.equal('invalid_value')
  })

  it('begins where it is told', () => {
    expect(createAvroGuard('string')(Uint8Array.of(9, 9, 9, 2, 0x61), 3)).to.equal(null)
  })

  it('refuses a length below zero, a branch or a number that is out of range', () => {
    expect(guarded('string', [1])).to.equal('invalid_value')
    expect(guarded('bytes', [...varint(2n ** 31n)])).to.equal('truncated')
    expect(guarded(['null', 'long'], [4])).to.equal('invalid_value')
    expect(guarded(['null', 'long'], [1])).to.equal('invalid_value')
    expect(guarded('int', varint(2n ** 31n - 1n))).to.equal(null)
    expect(guarded('int', varint(2n ** 31n))).to.equal('invalid_value')
    expect(guarded('int', varint(-(2n ** 31n)))).to.equal(null)
    expect(guarded('int', varint(-(2n ** 31n) - 1n))).to.equal('invalid_value')
    expect(guarded('long', varint(2n ** 53n))).to.equal('invalid_value')
    expect(guarded('long', varint(-(2n ** 63n)))).to.equal('invalid_value')
    expect(
      guarded(
        'long',
        Array.from({ length: 11 }, () => 0x80),
      ),
    ).to.equal('invalid_value')
  })

  it('throws on a schema that names no Avro type', () => {
    expect(() => createAvroGuard({ type: 'array', items: 'strnig' })).to.throw('strnig')
  })
})
