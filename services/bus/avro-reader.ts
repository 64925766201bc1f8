import type { DeadLetterReason } from '../core/dead-letter.ts'

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
  strings(): string[]
  /** The branch of a union or the symbol of an enum, below `count`. */
  branch(count: number): number
  skipBytes(): void
  skipStringMap(): void
  /** Reads an array of ints into `into`, or into a larger copy of it, which is returned. */
  ints(into: Int32Array): Int32Array
  /** Items and sum of the array that was read last. */
  itemCount(): number
  itemSum(): number
}

const INT_MAX = 2 ** 31 - 1
const LONG_BYTES_MAX = 8

/** A reader without input. */
export function createAvroReader(): AvroReader {
  let bytes: Uint8Array = new Uint8Array(0)
  let view = Buffer.from(bytes.buffer)
  let at = 0
  let failed: DeadLetterReason | null = null
  let count = 0
  let sum = 0
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
    // Without its lowest bit, the sign, the value fits a double exactly.
    let magnitude = (first & 0x7f) >>> 1
    let scale = 64
    for (let i = 1; i <= LONG_BYTES_MAX; i++) {
      const byte = bytes[at + i]
      if (byte === undefined) return fail('truncated')
      magnitude += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (magnitude > Number.MAX_SAFE_INTEGER) return fail('invalid_value')
        at += i + 1
        return first & 1 ? -magnitude - 1 : magnitude
      }
      scale *= 128
    }
    return fail('invalid_value')
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

  function string(): string {
    const size = length()
    at += size
    return size === 0 ? '' : view.toString('utf8', at - size, at)
  }

  function skipBytes(): void {
    // Not `at += length()`: that would read `at` before the length moves it.
    const size = length()
    at += size
  }

  return {
    open(input, start) {
      bytes = input
      view = Buffer.from(input.buffer, input.byteOffset, input.length)
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
      return at > bytes.length ? fail('truncated') : view.readDoubleLE(at - 8)
    },
    string,
    strings() {
      const all: string[] = []
      for (let items = block(); items > 0; items = block()) {
        for (let i = 0; i < items; i++) all.push(string())
      }
      return all
    },
    branch(branches) {
      const index = long()
      return index >= 0 && index < branches ? index : fail('invalid_value')
    },
    skipBytes,
    skipStringMap() {
      for (let items = block(); items > 0; items = block()) {
        for (let i = 0; i < items * 2; i++) skipBytes()
      }
    },
    ints(into) {
      let target = into
      count = 0
      sum = 0
      for (let items = block(); items > 0; items = block()) {
        if (count + items > target.length) {
          const grown = new Int32Array((count + items) * 2)
          grown.set(target.subarray(0, count))
          target = grown
        }
        for (let i = 0; i < items; i++) {
          const value = int()
          target[count++] = value
          sum += value
        }
      }
      return target
    },
    itemCount: () => count,
    itemSum: () => sum,
  }
}
