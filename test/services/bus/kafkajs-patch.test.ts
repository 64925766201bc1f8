import { once } from 'node:events'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import '../../../services/bus/kafkajs-patch.ts'
import { expect } from 'chai'
import fc from 'fast-check'

const require = createRequire(import.meta.url)
const Connection = require('kafkajs/src/network/connection')
const socketFactory = require('kafkajs/src/network/socketFactory')

const PLAIN = fc.constant({ isControlRecord: false, key: null })
const NO_LOGGER = { namespace: () => ({ debug() {}, error() {} }) }

/** A response of the broker: its size, the number of the request, the rest. */
function response(correlationId: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeInt32BE(12, 0)
  bytes.writeInt32BE(correlationId, 4)
  return bytes
}

describe('services/bus/kafkajs-patch', () => {
  it('leaves out of a batch what kafkajs leaves out', () => {
    const file = require.resolve('kafkajs/src/consumer/batch')
    const Ours = require(file)
    const Theirs = Object.getPrototypeOf(Ours)
    const message = fc.record({ isControlRecord: fc.boolean(), key: fc.constant(null) })
    const anyMessages = fc.array(fc.boolean().chain((some) => (some ? message : PLAIN)))
    const aborted = fc.constantFrom(null, [], [{ producerId: '7', firstOffset: '3' }])
    fc.assert(
      fc.property(anyMessages, fc.nat(8), aborted, (all, from, abortedTransactions) => {
        const batchContext = { producerId: '7', inTransaction: true }
        const messages = all.map((one, offset) => ({ ...one, offset: offset + 2, batchContext }))
        const data = { partition: 1, highWatermark: '20', messages, abortedTransactions }
        const [ours, theirs] = [Ours, Theirs].map((Batch) => new Batch('t', String(from), data))
        expect({ ...ours }).deep.equal({ ...theirs })
        expect(Number(ours.lastOffset())).equal(Number(theirs.lastOffset()))
        expect(ours.isEmptyDueToFiltering()).equal(theirs.isEmptyDueToFiltering())
      }),
    )
  })

  it('puts messages where their partitioner does, in their order', () => {
    const group = require('kafkajs/src/producer/groupMessagesPerPartition')
    const partitioner = (how: {
      topic: string
      partitionMetadata: object[]
      message: { n: number }
    }) => (how.topic === 't' && how.partitionMetadata.length === 2 ? how.message.n % 2 : -1)
    const messages = [4, 1, 2, 3].map((n) => ({ n }))
    const groups = group({ topic: 't', partitionMetadata: [{}, {}], messages, partitioner })
    expect({ ...groups }).deep.equal({ 0: [{ n: 4 }, { n: 2 }], 1: [{ n: 1 }, { n: 3 }] })
  })

  it('reads what comes after a response that a broken connection cut off', async () => {
    const answers = [response(1).subarray(0, 10), response(2)]
    const server = createServer((socket) => {
      socket.write(answers.shift()!)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const connection = new Connection({
      ...{ host: '127.0.0.1', port, logger: NO_LOGGER, socketFactory: socketFactory() },
      ...{ connectionTimeout: 5_000, requestTimeout: 5_000 },
    })
    const first = Promise.withResolvers<number>()
    const read = connection.processData.bind(connection)
    const seen = Promise.withResolvers<void>()
    connection.processData = (bytes: Buffer) => {
      read(bytes)
      seen.resolve()
    }
    connection.requestQueue.fulfillRequest = ({ correlationId }: { correlationId: number }) =>
      first.resolve(correlationId)
    await connection.connect()
    await seen.promise
    connection.socket.destroy()
    await connection.disconnect()
    await connection.connect()
    expect(await first.promise).equal(2)
    connection.socket.destroy()
    await connection.disconnect()
    server.close()
  })
})
