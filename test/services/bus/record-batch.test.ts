import { createRequire } from 'node:module'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { expect } from 'chai'
import { compressFrameSync } from 'lz4-napi'
import '../../../services/bus/kafkajs-patch.ts'
import { NOT_UNPACKED } from '../../../services/bus/port.ts'
import type { Message } from '../../../services/bus/record-batch.ts'
import { batchBytes, recordBytes } from './batch-bytes.ts'

const require = createRequire(import.meta.url)
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object
/** kafkajs's own reader of what a fetch brings of one partition, with our decoder inside. */
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages') as (
  decoder: object,
) => Promise<Message[]>
const snappy = require('snappyjs') as { compress(bytes: Buffer): Buffer }

const MIB = 2 ** 20
const COMPRESS: readonly ((bytes: Buffer) => Buffer)[] = [
  (bytes) => bytes,
  (bytes) => gzipSync(bytes),
  (bytes) => snappy.compress(bytes),
  (bytes) => compressFrameSync(bytes),
  (bytes) => zstdCompressSync(bytes),
]
const NAMES = ['no compression', 'gzip', 'snappy', 'lz4', 'zstd']

async function fetched(...batches: readonly Buffer[]): Promise<Message[]> {
  const set = Buffer.concat(batches)
  const length = Buffer.alloc(4)
  length.writeInt32BE(set.length)
  return decodeMessages(new Decoder(Buffer.concat([length, set])))
}

/** One record with a value of so many zeros. */
function zeros(bytes: number): Buffer {
  return recordBytes({ offsetDelta: 0, value: Buffer.alloc(bytes) })
}

/** One record that is good, at an offset. */
function goodAt(firstOffset: number): Buffer {
  return batchBytes(recordBytes({ offsetDelta: 0, value: Buffer.of(7) }), { firstOffset })
}

/** Of three messages, the second stands for the batch from `first` to `last`. */
function expectStandIn(messages: readonly Message[], at: { first: number; last: number }): void {
  expect(offsetsOf(messages)).to.deep.equal([at.first - 1, at.last, at.last + 1])
  expect(messages[1]).to.include({ key: null, batchFrom: at.first })
  expect(messages[1]!.value).to.equal(NOT_UNPACKED)
}

const offsetsOf = (messages: readonly Message[]) => messages.map(({ offset }) => offset)

describe('bus/record-batch', function () {
  this.timeout(20_000)
  for (const [type, compress] of COMPRESS.entries()) {
    describe(NAMES[type]!, () => {
      it('gives offset, time, key and value of each record, and no header', async () => {
        const records = [
          recordBytes({ offsetDelta: 0, timeDelta: -5, key: Buffer.of(1), value: Buffer.of(2, 3) }),
          recordBytes({ offsetDelta: 2, timeDelta: 300, value: null, headers: [['a', 'b']] }),
          recordBytes({ offsetDelta: 9, key: Buffer.alloc(0), value: Buffer.alloc(20_000, 'x') }),
        ]
        const shape = { firstOffset: 2 ** 40, firstMs: 1.7e12, maxMs: 1.8e12, count: 3 }
        const plain = compress(Buffer.concat(records))
        const byTime = async (attributes: number) =>
          (await fetched(batchBytes(plain, { ...shape, attributes: type + attributes }))).map(
            ({ offset, appendMs, key, value }) => [offset, appendMs, key, value],
          )
        const [one, two, three] = [2 ** 40, 2 ** 40 + 2, 2 ** 40 + 9]
        const long = Buffer.alloc(20_000, 'x')
        expect(await byTime(0)).to.deep.equal([
          [one, 1.7e12 - 5, Buffer.of(1), Buffer.of(2, 3)],
          [two, 1.7e12 + 300, null, null],
          [three, 1.7e12, Buffer.alloc(0), long],
        ])
        const appended = (await byTime(8)).map(([, ms]) => ms)
        expect(appended).to.deep.equal([1.8e12, 1.8e12, 1.8e12])
      })

      if (type === 0) return
      it('lets one record stand for more than 32 MiB, and reads the next one', async () => {
        const bomb = compress(zeros(32 * MIB))
        const shape = { attributes: type, firstOffset: 10, lastOffsetDelta: 4, maxMs: 99 }
        const messages = await fetched(goodAt(9), batchBytes(bomb, shape), goodAt(15))
        expectStandIn(messages, { first: 10, last: 14 })
        expect(messages[1]!.appendMs).to.equal(99)
      })

      it('gives what a batch of just less holds', async () => {
        const [message] = await fetched(
          batchBytes(compress(zeros(32 * MIB - 32)), { attributes: type }),
        )
        expect(message!.value).to.have.length(32 * MIB - 32)
      })
    })
  }

  it('lets one record stand for snappy in blocks that are too large together', async () => {
    const block = snappy.compress(Buffer.alloc(17 * MIB))
    const size = Buffer.alloc(4)
    size.writeUInt32BE(block.length)
    const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    const xerial = Buffer.concat([magic, size, block, size, block])
    const bomb = batchBytes(xerial, { attributes: 2, firstOffset: 10 })
    expectStandIn(await fetched(goodAt(9), bomb, goodAt(11)), { first: 10, last: 10 })
  })

  it('lets one record stand for more than 100,000, which kafkajs could not take', async () => {
    const many = (count: number) => {
      const records = Array.from({ length: count }, (_, i) =>
        recordBytes({ offsetDelta: i, value: Buffer.of(7) }),
      )
      return batchBytes(Buffer.concat(records), { firstOffset: 10, count })
    }
    const most = await fetched(goodAt(9), many(100_000))
    expect(most).to.have.length(100_001)
    const messages = await fetched(goodAt(9), many(100_001), goodAt(100_011))
    expectStandIn(messages, { first: 10, last: 100_010 })
  })

  it('leaves what comes after 16 MiB of a partition to the next fetch', async () => {
    const batch = (firstOffset: number) =>
      batchBytes(gzipSync(zeros(6 * MIB)), { attributes: 1, firstOffset })
    const batches = [0, 1, 2, 3, 4].map(batch)
    expect(offsetsOf(await fetched(...batches))).to.deep.equal([0, 1, 2])
    expect(offsetsOf(await fetched(...batches.slice(3)))).to.deep.equal([3, 4])
  })

  it('passes over 50,000 headers of one record at once', async () => {
    const headers = Array.from({ length: 50_000 }, (_, i) => [`h${i}`, ''] as const)
    const record = recordBytes({ offsetDelta: 0, value: Buffer.of(7), headers })
    expect((await fetched(batchBytes(record), goodAt(1))).map(({ value }) => value)).to.deep.equal([
      Buffer.of(7),
      Buffer.of(7),
    ])
  })

  it('throws on a batch whose records end before they should', async () => {
    const torn = recordBytes({ offsetDelta: 0, value: Buffer.alloc(100) }).subarray(0, 50)
    const cases = [batchBytes(torn), batchBytes(zeros(5), { count: 2 })]
    for (const bytes of cases) {
      const fault = await fetched(bytes).catch((error: Error) => error.message)
      expect(fault).to.match(/torn/)
    }
  })

  it('leaves a batch of which only the beginning came to the next fetch', async () => {
    const [whole, cut] = [goodAt(0), goodAt(1)]
    expect(offsetsOf(await fetched(whole, cut.subarray(0, 55)))).to.deep.equal([0])
    expect(offsetsOf(await fetched(whole, cut.subarray(0, -1)))).to.deep.equal([0])
  })
})
