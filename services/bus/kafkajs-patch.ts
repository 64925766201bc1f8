/**
 * Everything that kafkajs 2.2.4 needs changed, in one file tied to that version; loaded by the
 * adapter before the first client is made (research/kafka-clients.md §1.4).
 */
import { createRequire } from 'node:module'
import { assert } from '../core/errors.ts'
import { type Message, readBatch } from './record-batch.ts'
import { MAGIC_BYTE, writeBatch } from './record-batch-writer.ts'

const require = createRequire(import.meta.url)

interface RequestQueue {
  pending: unknown[]
  throttledUntil: number
  throttleCheckTimeoutId: unknown
  scheduleCheckPendingRequests(): void
}

const { version } = require('kafkajs/package.json') as { version: string }
assert(version === '2.2.4', `services/bus/kafkajs-patch.ts is for kafkajs 2.2.4, not ${version}`)

/**
 * kafkajs re-arms a timer of (throttledUntil - now) milliseconds for ever, a negative number that
 * Node 24 warns about and turns into 1 ms: 900 wake-ups a second while idle. It is needed only
 * while something is pending.
 */
const { prototype } = require('kafkajs/src/network/requestQueue') as { prototype: RequestQueue }
const schedule = prototype.scheduleCheckPendingRequests
prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
  if (this.pending.length > 0) schedule.call(this)
}

/**
 * For each record kafkajs makes two BigInts, to leave out those before the offset that was asked
 * for. Records come in the order of their offsets. Where kafkajs was loaded before, it goes on so.
 */
const Batch = require('kafkajs/src/consumer/batch') as new (
  topic: string,
  fetchedOffset: string,
  partitionData: PartitionData,
) => FetchedBatch
replaced(
  'kafkajs/src/consumer/batch',
  class extends Batch {
    constructor(topic: string, fetchedOffset: string, partitionData: PartitionData) {
      const { messages, abortedTransactions } = partitionData
      const isPlain = !abortedTransactions?.length && messages.every((one) => !one.isControlRecord)
      super(topic, fetchedOffset, isPlain ? { ...partitionData, messages: [] } : partitionData)
      if (!isPlain) return
      const from = messages.findIndex(({ offset }) => offset >= Number(fetchedOffset))
      this.rawMessages = messages
      this.messagesWithinOffset = from < 0 ? [] : from === 0 ? messages : messages.slice(from)
      this.messages = this.messagesWithinOffset
    }
  },
)

interface PartitionData {
  readonly messages: readonly Message[]
  readonly abortedTransactions: readonly unknown[] | null
}

/**
 * A fetch that holds nothing but control records goes to eachBatch too, without messages: the
 * adapter sees every offset pass, and a reader of a transaction's end does not wait for ever.
 */
const runner = require('kafkajs/src/consumer/runner') as { prototype: Runner }
const handle = runner.prototype.handleBatch
runner.prototype.handleBatch = function (this: Runner, batch: FetchedBatch) {
  const isOnlyControl = this.running && batch.isEmptyDueToFiltering()
  return isOnlyControl ? this.processEachBatch(batch) : handle.call(this, batch)
}

interface FetchedBatch {
  rawMessages: readonly Message[]
  messagesWithinOffset: readonly Message[]
  messages: readonly Message[]
  isEmptyDueToFiltering(): boolean
}

interface Runner {
  readonly running: boolean
  handleBatch(batch: FetchedBatch): Promise<void>
  processEachBatch(batch: FetchedBatch): Promise<void>
}

/**
 * A batch is unpacked here, in every compression that others' producers use and within bounds;
 * kafkajs knows only gzip, without one. The reader of fetches takes its decoder when it is loaded,
 * with the first fetch.
 */
replaced('kafkajs/src/protocol/recordBatch/v0/decoder', readBatch)
const fetchReader = require.resolve('kafkajs/src/protocol/requests/fetch/v4/decodeMessages')
assert(!require.cache[fetchReader], 'kafkajs has fetched before it was patched')

/**
 * A batch is written here too, in one go. Records are handed on as they are, which reads the value
 * of each where kafkajs does. The writer of requests takes both when it is loaded.
 */
replaced('kafkajs/src/protocol/recordBatch/record/v0/index', (record: object) => record)
replaced('kafkajs/src/protocol/recordBatch/v0/index', { RecordBatch: writeBatch, MAGIC_BYTE })
const requestWriter = require.resolve('kafkajs/src/protocol/requests/produce/v3/request')
assert(!require.cache[requestWriter], 'kafkajs has sent before it was patched')

/** For each message kafkajs copies the list of those before it. */
replaced('kafkajs/src/producer/groupMessagesPerPartition', (append: Append) => {
  const { messages, partitioner, ...place } = append
  return Object.groupBy(messages, (message) => partitioner({ ...place, message }))
})

interface Append {
  readonly topic: string
  readonly partitionMetadata: readonly unknown[]
  readonly messages: readonly object[]
  readonly partitioner: (message: object) => number
}

function replaced(path: string, by: unknown): void {
  const file = require.resolve(path)
  require(file)
  require.cache[file]!.exports = by
}

/**
 * A connection that breaks in the middle of a response keeps that half, and after it has connected
 * again takes what comes for the other: then it waits for nothing, or throws where nobody catches.
 */
const { prototype: connection } = require('kafkajs/src/network/connection') as {
  prototype: Connection
}
const connect = connection.connect
connection.connect = function (this: Connection) {
  if (!this.isConnected()) {
    this.chunks = []
    this.bytesBuffered = 0
    this.bytesNeeded = SIZE_BYTES
  }
  return connect.call(this)
}

/** Of the number in front of each response. */
const SIZE_BYTES = 4

interface Connection {
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<boolean>
}
