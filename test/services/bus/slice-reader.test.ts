import { expect } from 'chai'
import fc from 'fast-check'
import type { WindowSlice } from '../../../schemas/records.ts'
import { WINDOW_SLICES } from '../../../schemas/topics.ts'
import { createAvroGuard } from '../../../services/bus/avro-guard.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import {
  createSliceDecoder,
  mergeSlices,
  readSliceRecord,
} from '../../../services/bus/slice-reader.ts'
import { seriesOf } from '../../../services/core/windows/series.ts'
import { createAggregate } from '../../../services/core/windows/slice.ts'
import type { SliceRecord } from '../../../services/core/windows/slice-record.ts'
import { sliceRecord } from '../../records.ts'
import { aggregateOf, anyCounted } from '../core/windows/aggregates.ts'
import { avroType, schemaNamed } from './avro-arbitrary.ts'

const schema = schemaNamed('window-slice')
const TYPE = avroType(schema.json)
const HEADER = Buffer.alloc(5)
/** Beyond it avsc is wrong. */
const WIDE = 2 ** 52 - 1
const guard = createAvroGuard(schema.json)

const anyPlace = fc.record({
  source_topic: fc.constantFrom('lens.token-events', 'lens.resource-samples', 'é'),
  source_partition: fc.nat(),
  from: fc.nat(),
  to: fc.nat(WIDE),
})
const anySeries = fc.dictionary(fc.constantFrom('model', 'tenant', 'region'), fc.string())
const anySlices = fc.array(
  fc.tuple(fc.nat(9), anyCounted).map(([n, counted]) => sliceRecord(n * 1e4, aggregateOf(counted))),
  { maxLength: 4 },
)
const anyClosing = fc.record({
  ...{ series_count: fc.nat(), records: fc.nat(), dead_letters: fc.nat() },
  ...{
    watermark: fc.integer({ min: -WIDE, max: WIDE }),
    event_watermark: fc.constant(-1),
    complete_ms: fc.nat(),
  },
  ...{ source_partitions: fc.nat(), on_behalf: fc.boolean() },
})
const anyRecord: fc.Arbitrary<WindowSlice> = fc.oneof(
  fc.tuple(anyPlace, anySeries, anySlices).map(([place, series, slices]) => {
    return { ...place, series, slices, closing: null }
  }),
  fc.tuple(anyPlace, anyClosing).map(([place, closing]) => {
    return { ...place, series: null, slices: [], closing }
  }),
)

/** What statistics makes of bytes, each slice by itself; or why it makes nothing of them. */
function byUs(bytes: Uint8Array): unknown {
  const { value, bad } = readSliceRecord(Buffer.concat([HEADER, bytes]))
  if (bad) return bad
  const { series, firstMs, slices: _, ...place } = value as SliceRecord
  const into: { start: number; requests: number; sum: ReturnType<typeof createAggregate> }[] = []
  mergeSlices(value as SliceRecord, (start, requests) => {
    const sum = createAggregate()
    into.push({ start, requests, sum })
    return sum
  })
  for (const { requests, sum } of into) expect(requests).equal(sum.requests)
  expect(firstMs).deep.equal(into[0]?.start ?? Number.NaN)
  const slices = into.map(({ start, sum }) => sliceRecord(start, sum))
  return { ...place, series: series?.labels ?? null, slices }
}

function expected({ series, ...record }: WindowSlice): unknown {
  return { ...record, series: series && seriesOf(series).labels }
}

describe('bus/slice-reader', () => {
  it('reads and merges any record that avsc writes', () => {
    const property = fc.property(anyRecord, (record) => {
      expect(byUs(TYPE.toBuffer(record))).to.deep.equal(expected(record))
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('takes no bytes that the guard refuses, and reads the next record right', () => {
    const damage = fc.tuple(anyRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat())
    const property = fc.property(damage, ([record, at, mask, end]) => {
      const good = TYPE.toBuffer(record)
      const flipped = Buffer.from(good)
      flipped[at % flipped.length]! ^= mask
      for (const bytes of [flipped, good.subarray(0, end % good.length)]) {
        const { value, bad } = readSliceRecord(Buffer.concat([HEADER, bytes]))
        if (guard(bytes, 0)) expect(bad).to.be.a('string')
        if (!bad) mergeSlices(value as SliceRecord, () => createAggregate())
      }
      expect(byUs(good)).to.deep.equal(expected(record))
    })
    fc.assert(property, { numRuns: 2_000 })
  })

  it('passes over a slice that goes nowhere', () => {
    const slices = [1, 2, 3].map((n) => {
      const measured = { kind: 'measure' as const, id: n, value: 1000 * n, times: 300 * n }
      return sliceRecord(n * 1e4, aggregateOf([measured]))
    })
    const place = { source_topic: 't', source_partition: 0, from: 0, to: 1, closing: null }
    const bytes = Buffer.concat([HEADER, TYPE.toBuffer({ ...place, series: {}, slices })])
    const sum = createAggregate()
    mergeSlices(readSliceRecord(bytes).value as SliceRecord, (ms) => (ms === 2e4 ? null : sum))
    expect(sliceRecord(0, sum).metrics.map(({ id, count }) => [id, count])).deep.equal([
      [1, 300],
      [3, 900],
    ])
  })

  it('reads blocks that say their size, and refuses those that lie about it', () => {
    const one = sliceRecord(0, aggregateOf([{ kind: 'measure', id: 0, value: 9, times: 5 }]))
    const place = { source_topic: 't', source_partition: 0, from: 0, to: 1, closing: null }
    const whole = TYPE.toBuffer({ ...place, series: {}, slices: [one] })
    // topic, partition, from, to, series: 7 bytes; one block of one slice; its end, and no closing.
    const [before, slice] = [whole.subarray(0, 7), whole.subarray(8, -2)]
    expect(whole[7]).equal(2)
    const sized = (size: number) =>
      Buffer.concat([before, Buffer.of(1), zigzag(size), slice, Buffer.of(0, 0)])
    expect(byUs(sized(slice.length))).deep.equal(byUs(whole))
    expect(byUs(sized(slice.length + 1))).equal('invalid_value')
    const negative = Buffer.from('02740000020201' + '7d02610262000000', 'hex')
    expect(byUs(negative)).equal('invalid_value')
  })

  it('takes one byte for a boolean', () => {
    const bytes = Buffer.from('0274000002' + '000002' + '00000000000000' + '8000', 'hex')
    expect(byUs(bytes)).equal('invalid_value')
    expect(guard(bytes, 0)).equal('invalid_value')
    const one = Buffer.from('0274000002' + '000002' + '00000000000000' + '01', 'hex')
    expect(byUs(one)).nested.include({ 'closing.on_behalf': true })
  })

  it('refuses what no series and no closing record says, both, and buckets that no value has', () => {
    const place = { source_topic: 't', source_partition: 0, from: 0, to: 1 }
    const slices = [sliceRecord(0, aggregateOf([{ kind: 'measure', id: 0, value: 9, times: 5 }]))]
    const refused = (more: object) =>
      byUs(TYPE.toBuffer({ ...place, series: {}, slices, closing: null, ...more }))
    expect(refused({ series: null })).equal('invalid_value')
    const metrics = (more: object) => ({
      slices: [{ ...slices[0]!, metrics: [{ ...slices[0]!.metrics[0]!, ...more }] }],
    })
    expect(refused(metrics({ offset: 2 ** 30 }))).equal('invalid_value')
    expect(refused(metrics({ offset: -2 }))).equal('invalid_value')
    expect(refused(metrics({ id: -1 }))).equal('invalid_value')
    expect(refused({})).to.be.an('object')
  })

  describe('with the registry', () => {
    const json = schema.json as unknown as { fields: object[] }
    const added = { name: 'why', type: ['null', 'string'], default: null }
    const later = { ...json, fields: [...json.fields, added] }
    let codec: Codec
    before(async () => {
      const files = createFileRegistry(readSchemas())
      const schemaOf = async (id: number) =>
        id === 99 ? JSON.stringify(later) : files.schemaOf(id)
      codec = await createCodec({ ...files, schemaOf }, () => 0)
      await codec.prepare(WINDOW_SLICES, [Buffer.of(0, 0, 0, 0, 99)])
    })

    it('reads what a later version has written as the same record', () => {
      const decode = createSliceDecoder(codec)
      const property = fc.property(anyRecord, (record) => {
        const own = codec.encode(WINDOW_SLICES, record)
        const bytes = avroType(later).toBuffer({ ...record, why: 'x' })
        const others = Buffer.concat([Buffer.of(0, 0, 0, 0, 99), bytes])
        expect(decode(others, 0)).deep.equal(decode(own, 0))
      })
      fc.assert(property, { numRuns: 100 })
    })

    it('says why it reads nothing', () => {
      const decode = createSliceDecoder(codec)
      expect(decode(null, 0).bad).equal('empty')
      expect(decode(Buffer.of(0, 0, 0, 0, 98, 1), 0).bad).equal('unknown_schema')
    })
  })
})

function zigzag(value: number): Buffer {
  const raw = value * 2
  return raw < 128 ? Buffer.of(raw) : Buffer.of((raw & 127) | 128, raw >> 7)
}
