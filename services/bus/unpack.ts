/**
 * The compressions of Kafka, each within a bound: a megabyte of gzip, zstd or LZ4 can hold a
 * gigabyte of zeros.
 */
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { decompressFrameSync } from 'lz4-napi'

const require = createRequire(import.meta.url)

/** The package ships no types. */
const snappy = require('snappyjs') as {
  uncompress(bytes: Uint8Array, bytesMax: number): Uint8Array
}

/** Decompresses; rejects with TooLarge when that would be more than `bytesMax`. */
export type Unpack = (bytes: Buffer, bytesMax: number) => Promise<Buffer>

/** What a batch holds is more than is unpacked. */
export class TooLarge extends Error {}

/** By the number that a batch names its compression with. */
export const UNPACK: Readonly<Record<number, Unpack>> = {
  1: bounded(promisify(zlib.unzip)),
  2: async (bytes, bytesMax) => unpackSnappy(bytes, bytesMax),
  3: async (bytes, bytesMax) => unpackLz4(bytes, bytesMax),
  4: bounded(promisify(zlib.zstdDecompress)),
}

function bounded(
  unpack: (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>,
): Unpack {
  return (bytes, maxOutputLength) =>
    unpack(bytes, { maxOutputLength }).catch((error) => {
      throw error.code === 'ERR_BUFFER_TOO_LARGE' ? new TooLarge() : error
    })
}

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

/** Raw snappy, or the xerial framing of the Java client: blocks, each after its length. */
function unpackSnappy(bytes: Buffer, bytesMax: number): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    return snappyBlock(bytes, bytesMax)
  }
  const blocks: Buffer[] = []
  let left = bytesMax
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    const size = bytes.readUInt32BE(at)
    const block = snappyBlock(bytes.subarray(at + 4, at + 4 + size), left)
    blocks.push(block)
    left -= block.length
    at += 4 + size
  }
  return Buffer.concat(blocks)
}

function snappyBlock(bytes: Buffer, bytesMax: number): Buffer {
  try {
    return Buffer.from(snappy.uncompress(bytes, bytesMax))
  } catch (error) {
    throw /is too big/.test((error as Error).message) ? new TooLarge() : error
  }
}

function unpackLz4(bytes: Buffer, bytesMax: number): Buffer {
  if (lz4BytesMost(bytes) > bytesMax) throw new TooLarge()
  return decompressFrameSync(bytes)
}

/** A byte of LZ4 stands for 255 at most. */
const LZ4_RATIO_MAX = 255
const LZ4_PLAIN_BLOCK = 0x80000000

/**
 * The most that an LZ4 frame can hold, by its blocks' sizes: the library has no bound of its own.
 *
 * frame  magic(4) flags block-size-code [content size(8)] [dictionary(4)] checksum blocks... 0(4)
 * block  size(4), highest bit: not compressed; bytes; [checksum(4)]
 */
function lz4BytesMost(bytes: Buffer): number {
  const flags = bytes[4]!
  const blockBytesMax = 4 ** ((bytes[5]! >> 4) + 4)
  const [checksumBytes, sizeBytes] = [flags & 0x10 ? 4 : 0, flags & 0x08 ? 8 : 0]
  let most = 0
  for (let at = 7 + sizeBytes + (flags & 0x01 ? 4 : 0); at + 4 <= bytes.length; ) {
    const word = bytes.readUInt32LE(at)
    const size = word % LZ4_PLAIN_BLOCK
    const isPlain = word >= LZ4_PLAIN_BLOCK
    most += isPlain ? size : Math.min(blockBytesMax, size * LZ4_RATIO_MAX)
    at += 4 + size + checksumBytes
  }
  return most
}
