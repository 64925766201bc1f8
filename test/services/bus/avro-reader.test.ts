import { expect } from 'chai'
import fc from 'fast-check'
import { type AvroReader, createAvroReader } from '../../../services/bus/avro-reader.ts'
import { avroType, valuesOf } from './avro-arbitrary.ts'

/** A reader that stands at the beginning of a value of the schema. */
function reading(schema: unknown, value: unknown): { reader: AvroReader; bytes: Buffer } {
  const bytes = Buffer.concat([Buffer.of(7), avroType(schema).toBuffer(value)])
  const reader = createAvroReader()
  reader.open(bytes, 1)
  return { reader, bytes }
}

function opened(bytes: readonly number[]): AvroReader {
  const reader = createAvroReader()
  reader.open(Uint8Array.from(bytes), 0)
  return reader
}

/** The reading ends without a fault exactly at the end. */
function expectEnd(reader: AvroReader): void {
  expect([reader.fault(), reader.atEnd()]).to.deep.equal([null, true])
}

const LONG_MAX = 2 ** 53 - 2

describe('bus/avro-reader', () => {
  it('reads what avsc writes: longs, doubles, texts', () => {
    const reads = {
      long: (reader: AvroReader) => reader.long(),
      int: (reader: AvroReader) => reader.long(),
      double: (reader: AvroReader) => reader.double(),
      string: (reader: AvroReader) => reader.string(),
    }
    for (const [schema, read] of Object.entries(reads)) {
      const property = fc.property(valuesOf(schema), (value) => {
        const { reader } = reading(schema, value)
        expect(read(reader)).to.equal(value)
        expectEnd(reader)
      })
      fc.assert(property, { numRuns: 300 })
    }
  })

  it('reads the greatest and the least long that avsc writes', () => {
    for (const value of [LONG_MAX, LONG_MAX - 1, 2 ** 52, 2 ** 52 + 1, 8192, 8191, 64, 63, 0]) {
      // avsc itself loses the sign of what is below -2^52: its zigzag needs one bit more.
      for (const signed of value > 2 ** 52 ? [value] : [value, -value]) {
        const { reader } = reading('long', signed)
        expect(reader.long() + 0, String(signed)).to.equal(signed + 0)
        expectEnd(reader)
      }
    }
  })

  it('faults at a long beyond 2^53 and at one of more than nine bytes', () => {
    for (const bytes of [
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      Array.from({ length: 20 }, () => 0x80),
    ]) {
      const reader = opened(bytes)
      expect(reader.long()).to.equal(0)
      expect(reader.fault()).to.equal('invalid_value')
    }
  })

  it('reads blocks one after the other, with and without their sizes', () => {
    // 3, -1 | 64 in a block with its size of 2 bytes | the end.
    const reader = opened([4, 6, 1, 1, 4, 0x80, 1, 0])
    const read: number[] = []
    reader.blocks((items) => {
      for (let i = 0; i < items; i++) read.push(reader.long())
    })
    expect(read).to.deep.equal([3, -1, 64])
    expectEnd(reader)
  })

  it('faults at an int of more than 32 bits', () => {
    for (const value of [2 ** 31, -(2 ** 31) - 1, 2 ** 40]) {
      const { reader } = reading('long', value)
      reader.int()
      expect(reader.fault(), String(value)).to.equal('invalid_value')
    }
  })

  it('skips texts and maps of texts', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 9 }), { maxLength: 5 })
    const property = fc.property(texts, (all) => {
      const map = Object.fromEntries(all.map((text, i) => [`k${i}`, text]))
      const maps = reading({ type: 'map', values: 'string' }, map).reader
      maps.skipStringMap()
      expectEnd(maps)
      const one = reading('string', all.join('')).reader
      one.skipBytes()
      expectEnd(one)
    })
    fc.assert(property, { numRuns: 200 })
  })

  it('faults at a length below zero or beyond the end, and at a branch that is not there', () => {
    const faultOf = (bytes: readonly number[], read: (reader: AvroReader) => unknown) => {
      const reader = opened(bytes)
      read(reader)
      return reader.fault()
    }
    expect(faultOf([1], (reader) => reader.string())).to.equal('invalid_value')
    expect(faultOf([1], (reader) => reader.skipBytes())).to.equal('invalid_value')
    expect(faultOf([4, 0x61], (reader) => reader.string())).to.equal('truncated')
    expect(faultOf([4], (reader) => reader.branch(2))).to.equal('invalid_value')
    expect(faultOf([1], (reader) => reader.branch(2))).to.equal('invalid_value')
    expect(faultOf([0, 0, 0, 0, 0, 0, 0], (reader) => reader.double())).to.equal('truncated')
  })

  it('faults at once at 200 million items that are claimed in 6 bytes', () => {
    const claim = [0x80, 0x88, 0xde, 0xbe, 0x01, 0]
    const negative = [0xff, 0x87, 0xde, 0xbe, 0x01, 0]
    for (const bytes of [claim, negative]) {
      const reader = opened(bytes)
      reader.skipStringMap()
      expect(reader.fault()).to.equal('truncated')
    }
  })

  it('gives zeros after a fault, keeps the first reason, and forgets it with the next input', () => {
    const reader = opened([1, 2, 2])
    reader.string()
    expect([reader.long(), reader.double(), reader.string()]).to.deep.equal([0, 0, ''])
    reader.skipStringMap()
    expect(reader.branch(2)).to.equal(0)
    expect(reader.fault()).to.equal('invalid_value')
    reader.open(Uint8Array.of(2), 0)
    expect(reader.long()).to.equal(1)
    expectEnd(reader)
  })

  it('reads no byte in front of or behind the view that it was given', () => {
    const whole = Uint8Array.of(6, 0x61, 0x62, 0x63, 4, 0x64, 0x65, 0x66)
    const reader = createAvroReader()
    reader.open(whole.subarray(4, 7), 0)
    expect(reader.string()).to.equal('de')
    expectEnd(reader)
    reader.open(whole.subarray(0, 3), 0)
    expect(reader.string()).to.equal('')
    expect(reader.fault()).to.equal('truncated')
  })
})
