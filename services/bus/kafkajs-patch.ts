/**
 * Everything that kafkajs 2.2.4 needs changed, in one file tied to that version; loaded by the
 * adapter before the first client is made (research/kafka-clients.md §1.4).
 */
import { createRequire } from 'node:module'
import zlib from 'node:zlib'
import kafkajs from 'kafkajs'
import { decompressFrameSync } from 'lz4-napi'
import { assert } from '../core/errors.ts'

const require = createRequire(import.meta.url)
const { CompressionCodecs, CompressionTypes } = kafkajs

/** The package ships no types. */
const snappy = require('snappyjs') as { uncompress(bytes: Uint8Array): Uint8Array }

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
  isEmptyDueToFiltering(): boolean
}

interface Runner {
  readonly running: boolean
  handleBatch(batch: FetchedBatch): Promise<void>
  processEachBatch(batch: FetchedBatch): Promise<void>
}

/** Other people's producers use all of these; kafkajs itself knows only gzip. */
const codecs: Record<number, Decompressor> = {
  [CompressionTypes.Snappy]: (bytes) => readSnappy(bytes),
  [CompressionTypes.LZ4]: (bytes) => decompressFrameSync(bytes),
  [CompressionTypes.ZSTD]: (bytes) => zlib.zstdDecompressSync(bytes),
}

type Decompressor = (bytes: Buffer) => Buffer

for (const [type, decompress] of Object.entries(codecs)) {
  const registry = CompressionCodecs as Record<number, () => unknown>
  registry[Number(type)] = () => ({
    compress: () => {
      throw new Error('this process reads the codec but does not write it')
    },
    decompress: async (bytes: Buffer) => decompress(bytes),
  })
}

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

/** Raw snappy, or the xerial framing of the Java client: blocks, each after its length. */
function readSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    return Buffer.from(snappy.uncompress(bytes))
  }
  const blocks: Uint8Array[] = []
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    const size = bytes.readUInt32BE(at)
    blocks.push(snappy.uncompress(bytes.subarray(at + 4, at + 4 + size)))
    at += 4 + size
  }
  return Buffer.concat(blocks)
}
