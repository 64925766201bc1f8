import { createRequire } from 'node:module'
import { expect } from 'chai'
import fc from 'fast-check'
import { readBatch } from '../../../services/bus/record-batch.ts'
import {
  type Encoded,
  type OutgoingBatch,
  type OutgoingRecord,
  writeBatch,
} from '../../../services/bus/record-batch-writer.ts'

const require = createRequire(import.meta.url)

/** A module of kafkajs as it is without our patch. */
function unpatched<T>(path: string): T {
  const file = require.resolve(path)
  const patched = require.cache[file]
  delete require.cache[file]
  const own = require(file)
  if (patched) require.cache[file] = patched
  return own
}

const encodeRecord = unpatched<(record: object) => object>(
  'kafkajs/src/protocol/recordBatch/record/v0/index',
)
const { RecordBatch } = unpatched<{ RecordBatch(batch: object): Promise<Encoded> }>(
  'kafkajs/src/protocol/recordBatch/v0/index',
)

const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const anyRecord = fc.record({
  key: fc.oneof(fc.constant(null), fc.string(), fc.string({ unit: 'binary' }), anyBytes),
  value: fc.oneof(fc.constant(null), fc.string(), anyBytes),
  timestampDelta: fc.oneof(fc.constant(0), fc.nat(2 ** 30)),
})
const anyBatch: fc.Arbitrary<OutgoingBatch> = fc.record({
  records: fc
    .array(anyRecord, { minLength: 1, maxLength: 90 })
    .map((all): OutgoingRecord[] => all.map((record, i) => ({ ...record, offsetDelta: i }))),
  firstTimestamp: fc.oneof(fc.nat(), fc.nat().map(String)),
  maxTimestamp: fc.nat({ max: 2 ** 41 }),
  producerId: fc.bigInt({ min: -1n, max: 2n ** 40n }),
  producerEpoch: fc.nat(2 ** 15 - 1),
  firstSequence: fc.nat(2 ** 31 - 1),
  lastOffsetDelta: fc.nat(99),
  transactional: fc.boolean(),
  compression: fc.constant(0),
})

describe('bus/record-batch-writer', () => {
  it('gives the bytes that kafkajs gives', async () => {
    await fc.assert(
      fc.asyncProperty(anyBatch, async (batch) => {
        const { records, producerId } = batch
        const long = { value: producerId, toString: () => String(producerId) }
        const made = records.map(encodeRecord)
        const theirs = await RecordBatch({ ...batch, producerId: long, records: made })
        const ours = writeBatch(batch)
        expect(ours.buffer.equals(theirs.buffer)).equal(true)
        expect(ours.size()).equal(theirs.size())
      }),
    )
  })

  const record = { key: 'k', value: Buffer.of(1, 2), offsetDelta: 0, timestampDelta: 0 }
  const batch: OutgoingBatch = {
    ...{ records: [record], firstTimestamp: 5, maxTimestamp: 5, producerId: 1n },
    ...{ producerEpoch: 0, firstSequence: 0, lastOffsetDelta: 0 },
    ...{ transactional: false, compression: 0 },
  }

  for (const [compression, name] of [
    [0, 'nothing'],
    [1, 'gzip'],
    [3, 'lz4'],
    [4, 'zstd'],
  ] as const) {
    it(`is read back as what was written, by ${name}`, async () => {
      const { buffer } = writeBatch({ ...batch, compression })
      const { records } = await readBatch({ buffer, offset: 0 })
      expect(records.length).equal(1)
      expect(records[0]).deep.include({ key: Buffer.from('k'), value: Buffer.of(1, 2) })
    })
  }

  it('refuses what it does not write', () => {
    expect(() => writeBatch({ ...batch, compression: 2 })).to.throw(/compression 2/)
    const headed = { ...record, headers: { a: 'b' } }
    expect(() => writeBatch({ ...batch, records: [headed] })).to.throw(/headers/)
  })
})
