import type { DeadLetterReason } from '../core/dead-letter.ts'
import { addShortLongs, skipShortLongs } from './avro-longs.ts'

/**
 * Reads Avro primitives from a buffer in place. After a fault every read gives zero, so that a
 * caller checks once, at the end of a record.
 */
export interface AvroReader {
  open(bytes: Uint8Array, start: number): void
  position(): number
  fault(): DeadLetterReason | null
  atEnd(): boolean
  readonly long: () => number
  /** A long that must fit 32 bits. */
  readonly int: () => number
  double(): number
  string(): string
  /** The branch of a union or the symbol of an enum, below `count`. */
  readonly branch: (count: number) => number
  skipBytes(): void
  skipStringMap(): void
  /** Reads the blocks of an array or map, which may hold others: `read` gets each one's items. */
  blocks(read: (items: number) => void): void
  /** Adds so many longs to the counts from `first` on; to none of them when those are null. */
  longs(items: number, counts: Uint32Array | Float64Array | null, first: number): void
}

const INT_MAX = 2 ** 31 - 1
/** Bytes of the longest integer that a double holds, and one. */
const LONG_BYTES_MAX = 9

/** A reader without input. */
export function createAvroReader(): AvroReader {
  let bytes: Uint8Array = new Uint8Array(0)
  let words: DataView = new DataView(bytes.buffer)
  let at = 0
  let failed: DeadLetterReason | null = null
  const place = { at: 0 }

  function fail(reason: DeadLetterReason): number {
    failed ??= reason
    at = bytes.length
    return 0
  }

  function long(): number {
    // One byte holds most lengths and counts.
    const first = bytes[at]
    if (first === undefined) return fail('truncated')
    if (first < 0x80) {
      at++
      return (first >>> 1) ^ -(first & 1)
    }
    const size = longSize(bytes, at)
    if (size === null) return fail('truncated')
    const magnitude = magnitudeOf(bytes, at, size)
    if (size > LONG_BYTES_MAX || magnitude > Number.MAX_SAFE_INTEGER) return fail('invalid_value')
    at += size
    return first & 1 ? -magnitude - 1 : magnitude
  }

  function int(): number {
    const value = long()
    return value > INT_MAX || value < -INT_MAX ? fail('invalid_value') : value
  }

  function blocks(read: (items: number) => void): void {
    for (let items = long(); items !== 0; items = long()) {
      let end = -1
      if (items < 0) {
        items = -items
        const size = long()
        end = size < 0 ? Number.POSITIVE_INFINITY : at + size
      }
      if (items > bytes.length - at) fail('truncated')
      else read(items)
      if (end >= 0 && at !== end) fail('invalid_value')
    }
  }

  function length(): number {
    const size = long()
    if (size < 0) return fail('invalid_value')
    return size > bytes.length - at ? fail('truncated') : size
  }

  function string(): string {
    const size = length()
    at += size
    return size === 0 ? '' : bufferOf(bytes).toString('utf8', at - size, at)
  }

  function skipBytes(): void {
    // Not `at += length()`: that would read `at` before the length moves it.
    const size = length()
    at += size
  }

  return {
    open(input, start) {
      bytes = input
      // The records of one fetch lie in one buffer.
      if (words.buffer !== input.buffer) words = new DataView(input.buffer)
      at = start
      failed = null
    },
    position: () => at,
    fault: () => failed,
    atEnd: () => at === bytes.length,
    long,
    int,
    double() {
      at += 8
      return at > bytes.length ? fail('truncated') : bufferOf(bytes).readDoubleLE(at - 8)
    },
    string,
    branch(branches) {
      const index = long()
      return index >= 0 && index < branches ? index : fail('invalid_value')
    },
    skipBytes,
    skipStringMap: () =>
      blocks((entries) => {
        for (let left = 2 * entries; left > 0; left--) skipBytes()
      }),
    blocks,
    longs(items, counts, first) {
      const end = first + items
      for (let i = first; i < end && failed === null; i++) {
        place.at = at
        i = counts
          ? addShortLongs(bytes, words, counts, i, end, place)
          : skipShortLongs(bytes, words, i, end, place)
        at = place.at
        if (i === end) break
        const value = long()
        if (counts) counts[i]! += value
      }
    },
  }
}

/** The entries of a map of strings. */
export function stringEntries(reader: AvroReader): [string, string][] {
  const all: [string, string][] = []
  reader.blocks((items) => {
    for (let i = 0; i < items; i++) all.push([reader.string(), reader.string()])
  })
  return all
}

/** The same bytes as a Buffer. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Bytes of the long at `at`, one more than there may be when it goes on; null when it is cut off. */
function longSize(bytes: Uint8Array, at: number): number | null {
  for (let size = 1; size <= LONG_BYTES_MAX; size++) {
    const byte = bytes[at + size - 1]
    if (byte === undefined) return null
    if (byte < 0x80) return size
  }
  return LONG_BYTES_MAX + 1
}

/** A long without its lowest bit, the sign: a double holds that exactly. */
function magnitudeOf(bytes: Uint8Array, at: number, size: number): number {
  let magnitude = (bytes[at]! & 0x7f) >>> 1
  let scale = 64
  for (let i = 1; i < size; i++) {
    magnitude += (bytes[at + i]! & 0x7f) * scale
    scale *= 128
  }
  return magnitude
}
