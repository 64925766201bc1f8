import type { DeadLetterReason } from '../core/dead-letter.ts'
import { readShortInts } from './avro-ints.ts'

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
  skipStrings(): void
  skipStringMap(): void
  /** Reads an array of ints into `into`, or into a larger copy of it, which is returned. */
  ints(into: Int32Array): Int32Array
  /** Items and sum of the array that was read last; signs below 0 when any of it is. */
  itemCount(): number
  itemSum(): number
  itemSigns(): number
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
  let count = 0
  const totals = { at: 0, sum: 0, signs: 0 }
  // Where the block that is being read says that it ends; no array here holds another.
  let blockEnd = -1

  function fail(reason: DeadLetterReason): number {
    failed ??= reason
    at = bytes.length
    return 0
  }

  function long(): number {
    // One and two bytes hold most gaps and lengths: below 8,192.
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

  /** The next block's item count; 0 at the end of an array or map. */
  function block(): number {
    if (blockEnd >= 0 && at !== blockEnd) return fail('invalid_value')
    blockEnd = -1
    let items = long()
    if (items < 0) {
      items = -items
      const size = long()
      blockEnd = at + size
    }
    return items > bytes.length - at ? fail('truncated') : items
  }

  function length(): number {
    const size = long()
    if (size < 0) return fail('invalid_value')
    return size > bytes.length - at ? fail('truncated') : size
  }

  /** Each item of an array is one part, of a map two. */
  function items(parts: number, read: () => void): void {
    for (let left = block() * parts; left > 0; left = block() * parts) {
      for (; left > 0; left--) read()
    }
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
      blockEnd = -1
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
    skipStrings: () => items(1, skipBytes),
    skipStringMap: () => items(2, skipBytes),
    ints(into) {
      let target = into
      count = 0
      totals.sum = 0
      totals.signs = 0
      for (let items = block(); items > 0; items = block()) {
        const end = count + items
        if (end > target.length) target = grown(target, count, end * 2)
        while (count < end) {
          totals.at = at
          count = readShortInts(bytes, words, target, count, end, totals)
          at = totals.at
          if (count === end) break
          const value = int()
          target[count++] = value
          totals.sum += value
          totals.signs |= value
        }
      }
      return target
    },
    itemCount: () => count,
    itemSum: () => totals.sum,
    itemSigns: () => totals.signs,
  }
}

function grown(from: Int32Array, count: number, size: number): Int32Array {
  const into = new Int32Array(size)
  into.set(from.subarray(0, count))
  return into
}

function bufferOf(bytes: Uint8Array): Buffer {
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
