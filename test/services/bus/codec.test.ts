import { expect } from 'chai'
import fc from 'fast-check'
import {
  AGGREGATES,
  AGGREGATES_LIVE,
  RESOURCE_SAMPLES,
  TOKEN_EVENTS,
  TOPICS,
  WINDOW_SLICES,
} from '../../../schemas/topics.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { NOT_UNPACKED } from '../../../services/bus/port.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { resourceSample, tokenEvents } from '../../records.ts'
import { avroType, schemaNamed, valuesOf } from './avro-arbitrary.ts'

const KIB = 1024

describe('bus/codec', () => {
  let codec: Codec
  before(async () => {
    codec = await createCodec(createFileRegistry(readSchemas()), () => 0)
  })

  it('reads back what it wrote, for every topic', () => {
    for (const { name, schema } of TOPICS) {
      const { json } = schemaNamed(schema)
      const decode = codec.decoder(name)
      const property = fc.property(valuesOf(json), (value) => {
        const bytes = codec.encode(name, value as object)
        const { value: read, bad } = decode(bytes, 0)
        expect(bad).to.equal(null)
        expect(codec.encode(name, read as object)).to.deep.equal(bytes)
      })
      fc.assert(property, { numRuns: 50 })
    }
  })

  it('writes the bytes that avsc writes, for every topic', () => {
    for (const { name, schema } of TOPICS) {
      const { json, type } = schemaNamed(schema)
      const property = fc.property(valuesOf(json), (value) => {
        const bare = codec.encode(name, value as object).subarray(5)
        expect(Buffer.compare(bare, type.toBuffer(value))).to.equal(0)
      })
      fc.assert(property, { numRuns: 100 })
    }
  })

  it('refuses a value that does not fit its schema', () => {
    const good = { source_topic: 't', source_partition: 0, from: 0, to: 1, series: {}, slices: [] }
    const closing = {
      ...{ series_count: 0, records: 0, dead_letters: 0, watermark: -1, event_watermark: -1 },
      ...{ complete_ms: 2 ** 52, source_partitions: 1, on_behalf: false },
    }
    const write = (more: object) => codec.encode(WINDOW_SLICES, { ...good, closing, ...more })
    write({})
    for (const from of [0.5, Number.NaN, 2 ** 53, '1', undefined, null]) {
      expect(() => write({ from }), String(from)).to.throw('is no long')
    }
    expect(() => write({ source_topic: null })).to.throw('is no string')
    expect(() => write({ closing: { ...closing, on_behalf: 0 } })).to.throw('is no boolean')
  })

  it('writes a zero byte, the schema id in four bytes and the bare record', () => {
    const bytes = codec.encode(RESOURCE_SAMPLES, resourceSample())
    const id = 1 + [...new Set(TOPICS.map((topic) => topic.schema))].indexOf('resource-sample')
    expect([...bytes.subarray(0, 5)]).to.deep.equal([0, 0, 0, 0, id])
    const bare = schemaNamed('resource-sample').type.toBuffer(resourceSample())
    expect(Buffer.compare(bytes.subarray(5), bare)).to.equal(0)
  })

  it('gives bytes of their own, which the next record does not overwrite', () => {
    const first = codec.encode(RESOURCE_SAMPLES, resourceSample({ name: 'first' }))
    const copy = Buffer.from(first)
    codec.encode(RESOURCE_SAMPLES, resourceSample({ name: 'other' }))
    expect(Buffer.compare(first, copy)).to.equal(0)
    // Not a view of the whole slab either: what is kept holds no more memory than it has bytes.
    expect(first.buffer.byteLength).to.be.at.most(8 * KIB)
  })

  it('writes a record of any size', () => {
    for (const characters of [60 * KIB, 64 * KIB, 200 * KIB, 900 * KIB]) {
      const sample = resourceSample({ name: 'n'.repeat(characters) })
      const bytes = codec.encode(RESOURCE_SAMPLES, sample)
      expect(codec.decoder(RESOURCE_SAMPLES)(bytes, 0).value).to.deep.include(sample)
    }
  })

  it('throws at a value that does not fit the schema: that is a bug of ours', () => {
    const wrong = { ...tokenEvents(), gaps_us: [0.5] }
    expect(() => codec.encode(TOKEN_EVENTS, wrong)).to.throw('invalid')
    expect(() => codec.encode('no.such.topic', {})).to.throw()
  })

  it('says why bytes are no record', () => {
    const decode = codec.decoder(RESOURCE_SAMPLES)
    const good = Buffer.from(codec.encode(RESOURCE_SAMPLES, resourceSample()))
    const badOf = (bytes: Buffer | null) => {
      const { value, bad } = decode(bytes, 0)
      expect(value).to.equal(undefined)
      return bad
    }
    expect(badOf(null)).to.equal('empty')
    expect(badOf(Buffer.alloc(0))).to.equal('bad_magic')
    expect(badOf(NOT_UNPACKED as Buffer)).to.equal('batch_too_large')
    expect(badOf(good.subarray(0, 4))).to.equal('bad_magic')
    expect(badOf(Buffer.concat([Buffer.of(1), good.subarray(1)]))).to.equal('bad_magic')
    expect(badOf(Buffer.concat([good, Buffer.alloc(2 ** 20)]))).to.equal('too_large')
    expect(badOf(Buffer.concat([good, Buffer.of(0)]))).to.equal('invalid_value')
    expect(badOf(good.subarray(0, -1))).to.equal('truncated')
  })

  it('survives any bytes behind a header that it knows', () => {
    for (const { name } of TOPICS) {
      const decode = codec.decoder(name)
      const [id] = TOPICS.filter((topic) => topic.name === name).map(idOf)
      const property = fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const { value, bad } = decode(Buffer.concat([Buffer.of(0, 0, 0, 0, id!), bytes]), 0)
        expect(value === undefined).to.equal(bad !== null)
      })
      fc.assert(property, { numRuns: 200 })
    }
  })

  it('refuses 200 million items that are claimed in a few bytes', () => {
    const events = schemaNamed('token-events').type.toBuffer(tokenEvents({ gaps_us: [] }))
    // What follows the empty array of gaps: the empty array of tokens, the source, no end.
    const start = events.subarray(0, -4)
    const claim = Buffer.of(0, 0, 0, 0, 1, ...start, 0x80, 0x88, 0xde, 0xbe, 0x01, 0)
    expect(codec.decoder(TOKEN_EVENTS)(claim, 0).bad).to.equal('truncated')
  })

  it('has one schema for two topics that share it', () => {
    const { json } = schemaNamed('aggregate')
    const value = fc.sample(valuesOf(json), { numRuns: 1, seed: 3 })[0] as object
    const bytes = codec.encode(AGGREGATES, value)
    expect(codec.decoder(AGGREGATES_LIVE)(bytes, 0).bad).to.equal(null)
  })

  it('reads bytes that are a plain Uint8Array', () => {
    const sample = resourceSample()
    const bytes = new Uint8Array(codec.encode(RESOURCE_SAMPLES, sample))
    expect(codec.decoder(RESOURCE_SAMPLES)(bytes, 0).value).to.deep.include(sample)
  })
})

function idOf({ schema }: { schema: string }): number {
  return 1 + [...new Set(TOPICS.map((topic) => topic.schema))].indexOf(schema)
}

describe('bus/codec, schemas', () => {
  it('registers every topic under its own name, as the file has it', async () => {
    const registered: [string, string][] = []
    const registry = {
      ...createFileRegistry(readSchemas()),
      async idOf(topic: string, schema: string) {
        registered.push([topic, schema])
        return 1_000 + registered.length
      },
    }
    const codec = await createCodec(registry, () => 0)
    const schemas = readSchemas()
    expect(registered).to.deep.equal(TOPICS.map(({ name, schema }) => [name, schemas[schema]]))
    const bytes = codec.encode(RESOURCE_SAMPLES, resourceSample())
    expect(Buffer.from(bytes).readUInt32BE(1)).to.equal(1_002)
  })

  it('reads an id of 32 bits', async () => {
    const { json, type } = schemaNamed('resource-sample')
    const text = JSON.stringify(json)
    const id = 2 ** 32 - 1
    const schemaOf = async (asked: number) => (asked === id ? text : null)
    const codec = await createCodec({ idOf: async () => 1, schemaOf }, () => 0)
    const bytes = Buffer.concat([Buffer.of(0, 255, 255, 255, 255), type.toBuffer(resourceSample())])
    await codec.prepare(RESOURCE_SAMPLES, [bytes])
    expect(codec.decoder(RESOURCE_SAMPLES)(bytes, 0).value).to.deep.include(resourceSample())
  })

  it('reads what an earlier schema wrote, with the defaults of the fields that came later', async () => {
    const { json } = schemaNamed('resource-sample')
    const { fields, ...rest } = json as unknown as { fields: { name: string }[] }
    const earlier = { ...rest, fields: fields.filter(({ name }) => name !== 'attributes') }
    const registry = { idOf: async () => 1, schemaOf: async () => JSON.stringify(earlier) }
    const codec = await createCodec(registry, () => 0)
    const { attributes: _, ...sample } = resourceSample()
    const bytes = Buffer.concat([Buffer.of(0, 0, 0, 0, 9), avroType(earlier).toBuffer(sample)])
    await codec.prepare(RESOURCE_SAMPLES, [bytes])
    expect(codec.decoder(RESOURCE_SAMPLES)(bytes, 0).value).to.deep.include(resourceSample())
  })
})
