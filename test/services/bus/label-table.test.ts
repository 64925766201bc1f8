import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'chai'
import fc from 'fast-check'
import { hashWords } from '../../../services/bus/byte-index.ts'
import { createLabelTable, type LabelTable } from '../../../services/bus/label-table.ts'
import type { Labels } from '../../../services/core/measure/labels.ts'
import { avroType } from './avro-arbitrary.ts'
import { forgottenBy } from './forgotten.ts'

const LABELS = avroType({
  name: 'Labels',
  type: 'record',
  fields: [
    ...['provider', 'model', 'endpoint', 'region', 'tenant'].map((name) => ({
      name,
      type: 'string',
    })),
    { name: 'attributes', type: { type: 'map', values: 'string' } },
  ],
})

function labels(more: Partial<Labels> = {}): Labels {
  const named = { provider: 'p', model: 'm', endpoint: 'e', region: 'r', tenant: 't' }
  return { ...named, attributes: {}, ...more }
}

/** The labels as a part of a longer record. */
function lookUp(table: LabelTable, value: Labels): Labels {
  const bytes = Buffer.concat([Buffer.of(1, 2, 3), LABELS.toBuffer(value), Buffer.of(9)])
  return table.lookUp(bytes, 3, bytes.length - 1)
}

const words = new Int32Array(64)

/** By which the table finds its entries. */
function hash({ buffer, byteOffset, length }: Uint8Array): number {
  return hashWords(new DataView(buffer), byteOffset, length, words)
}

/** Two different labels whose bytes have the same hash. */
function colliding(): [Labels, Labels] {
  const seen = new Map<number, Labels>()
  for (let i = 0; ; i++) {
    const value = labels({ model: `m-${i}` })
    const sum = hash(LABELS.toBuffer(value))
    const other = seen.get(sum)
    if (other) return [other, value]
    seen.set(sum, value)
  }
}

function permutations<T>(all: readonly T[]): T[][] {
  if (all.length === 0) return [[]]
  return all.flatMap((head, i) => permutations(all.toSpliced(i, 1)).map((rest) => [head, ...rest]))
}

/** One entry of a map of texts, as Avro has it. */
function entry(name: string, value: string): Buffer {
  return Buffer.concat([name, value].map((text) => avroType('string').toBuffer(text)))
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function bytesHeld(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe('bus/label-table', () => {
  it('gives the labels that the bytes hold', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 8 })
    const any = fc.record({
      ...{ provider: text, model: text, endpoint: text, region: text, tenant: text },
      attributes: fc.dictionary(text, text, { noNullPrototype: true }),
    })
    const table = createLabelTable()
    const property = fc.property(any, (value) => {
      expect(lookUp(table, value)).to.deep.equal(value)
      expect(lookUp(table, value)).to.equal(lookUp(table, value))
    })
    fc.assert(property, { numRuns: 200 })
  })

  it('gives one object for equal labels, in whatever order the attributes come', () => {
    const table = createLabelTable()
    const first = lookUp(table, labels({ attributes: { team: 'a', tier: 'b' } }))
    const second = lookUp(table, labels({ attributes: { tier: 'b', team: 'a' } }))
    const interned = table.intern(labels({ attributes: { tier: 'b', team: 'a' } }))
    expect(second).to.equal(first)
    expect(interned).to.equal(first)
  })

  it('gives another object for labels that differ in anything', () => {
    const table = createLabelTable()
    const one = labels({ attributes: { a: 'b' } })
    const others = [
      labels({ attributes: { a: 'c' } }),
      labels({ attributes: { a: 'b', c: '' } }),
      ...Object.keys(one)
        .filter((name) => name !== 'attributes')
        .map((name) => ({ ...one, [name]: 'x' })),
      // The same text, cut at another place.
      labels({ provider: 'pm', model: '', attributes: { a: 'b' } }),
    ]
    const found = new Set([one, ...others].map((value) => lookUp(table, value)))
    expect(found.size).to.equal(others.length + 1)
  })

  it('keeps labels apart whose bytes have the same hash', () => {
    const [one, other] = colliding()
    const table = createLabelTable()
    for (let i = 0; i < 2; i++) {
      expect(lookUp(table, one)).to.deep.equal(one)
      expect(lookUp(table, other)).to.deep.equal(other)
    }
  })

  it('does not see it when the bytes are overwritten afterwards', () => {
    const table = createLabelTable()
    const bytes = LABELS.toBuffer(labels())
    const first = table.lookUp(bytes, 0, bytes.length)
    bytes.fill(0)
    expect(lookUp(table, labels())).to.equal(first)
  })

  it('reads attributes in blocks with a negative count', () => {
    const start = LABELS.toBuffer(labels()).subarray(0, -1)
    const blocks = Buffer.of(1, 8, 2, 0x61, 2, 0x62, 2, 2, 0x63, 2, 0x64, 0)
    const bytes = Buffer.concat([start, blocks])
    const found = createLabelTable().lookUp(bytes, 0, bytes.length)
    expect(found).to.deep.equal(labels({ attributes: { a: 'b', c: 'd' } }))
  })

  it('hands out what nobody can change', () => {
    const found = lookUp(createLabelTable(), labels({ attributes: { a: 'b' } }))
    expect(() => Object.assign(found, { model: 'x' })).to.throw(TypeError)
  })

  it('starts again from nothing after 65,536 sets of labels', () => {
    const table = createLabelTable()
    const first = lookUp(table, labels({ model: 'first' }))
    for (let i = 0; i < 65_535; i++) lookUp(table, labels({ model: `m-${i}` }))
    expect(lookUp(table, labels({ model: 'first' }))).to.equal(first)
    lookUp(table, labels({ model: 'one too many' }))
    const again = lookUp(table, labels({ model: 'first' }))
    expect(again).to.deep.equal(first)
    expect(again).not.to.equal(first)
  })

  it('stays bounded when a producer writes the same attributes in ever new orders', () => {
    // Go and others give the entries of a map in a random order: k attributes, k! encodings.
    const entries = Array.from({ length: 8 }, (_, i) => entry(`attribute-${i}`, 'v'.repeat(60)))
    const orders = permutations(entries)
    const table = createLabelTable()
    const before = bytesHeld()
    for (const tenant of ['a', 'b', 'c', 'd']) {
      const start = LABELS.toBuffer(labels({ tenant })).subarray(0, -1)
      for (const order of orders) {
        const bytes = Buffer.concat([start, Buffer.of(entries.length * 2), ...order, Buffer.of(0)])
        table.lookUp(bytes, 0, bytes.length)
      }
    }
    expect((bytesHeld() - before) / 2 ** 20, 'MiB').to.be.lessThan(90)
    expect(lookUp(table, labels())).to.deep.equal(labels())
  })

  it('counts what it forgets when it is full, and goes on', async () => {
    const table = createLabelTable()
    const kept = 65_536
    const look = (i: number) => lookUp(table, labels({ model: `m-${i}` }))
    expect(
      await forgottenBy(() => {
        for (let i = 0; i < kept; i++) look(i)
      }),
    ).to.deep.equal({})
    expect(await forgottenBy(() => void look(kept))).to.deep.equal({ labels: kept })
    expect(look(0)).to.deep.equal(labels({ model: 'm-0' }))
    expect(look(0)).to.equal(look(0))
  })
})
