import { cover, type Distribution, expectMore, occupied } from './distribution.ts'
import { addExact } from './exact-sum.ts'

/**
 * Integers at rest: seven bits to a byte, the sign in the lowest bit of all, and behind a zero how
 * many of them follow each other. Exact for every integer of at most 52 bits.
 *
 * The minutes of many series that end together lie in one slab, and are let go of together: an
 * array for each would take some hundred bytes more.
 */
const SLAB_BYTES = 256 * 1024
const INTEGER_BYTES_MAX = 8

let slab = new Uint8Array(0)
let begin = 0
let end = 0

/** Begins anew; what was packed before and not taken is forgotten. */
export function beginPacking(): void {
  end = begin
}

/** All that was packed since: as it lies, when others of its age are packed with it; or a copy. */
export function takePacked(isOneOfMany: boolean): Uint8Array {
  const packed = slab.subarray(begin, end)
  if (!isOneOfMany) return packed.slice()
  begin = end
  return packed
}

/** Packs one integer. */
export function packInteger(value: number): void {
  if (end + INTEGER_BYTES_MAX > slab.length) moveOn()
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  while (rest >= 128) {
    slab[end++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  slab[end++] = rest
}

/** Takes what was begun into a new slab. */
function moveOn(): void {
  const begun = slab.subarray(begin, end)
  slab = new Uint8Array(Math.max(SLAB_BYTES, begun.length * 2))
  slab.set(begun)
  begin = 0
  end = begun.length
}

/** Where the next integer is read. */
export interface PackedReader {
  readonly bytes: Uint8Array
  at: number
}

/** Reads what packInteger wrote. */
export function readInteger(reader: PackedReader): number {
  const { bytes } = reader
  let byte = bytes[reader.at++]!
  if (byte < 128) return (byte >> 1) ^ -(byte & 1)
  let value = byte & 127
  let unit = 128
  do {
    byte = bytes[reader.at++]!
    value += (byte & 127) * unit
    unit *= 128
  } while (byte >= 128)
  return value % 2 === 1 ? -((value + 1) / 2) : value / 2
}

/** Packs a distribution that is not empty. */
export function packDistribution(source: Distribution): void {
  const { counts, sum, squares } = source
  const [first, to] = occupied(source)
  packInteger(source.count)
  packInteger(source.zeroCount)
  packInteger(sum.high)
  packInteger(sum.low)
  packInteger(squares.high)
  packInteger(squares.low)
  packInteger(source.min)
  packInteger(source.max)
  packInteger(first === to ? 0 : source.offset + first)
  packInteger(to - first)
  for (let i = first; i < to; i++) {
    packInteger(counts[i]!)
    if (counts[i] !== 0) continue
    let zeros = 1
    while (counts[i + 1] === 0) {
      zeros++
      i++
    }
    packInteger(zeros)
  }
}

/** Adds what packDistribution wrote into `target`. */
export function mergePackedDistribution(target: Distribution, reader: PackedReader): void {
  const count = readInteger(reader)
  expectMore(target, count)
  target.count += count
  target.zeroCount += readInteger(reader)
  target.sum.high += readInteger(reader)
  addExact(target.sum, readInteger(reader))
  target.squares.high += readInteger(reader)
  addExact(target.squares, readInteger(reader))
  target.min = Math.min(target.min, readInteger(reader))
  target.max = Math.max(target.max, readInteger(reader))
  const offset = readInteger(reader)
  const length = readInteger(reader)
  if (length === 0) return
  cover(target, offset, offset + length)
  addCounts(target.counts, offset - target.offset, length, reader)
}

/** The loop that windows are summed up in: readInteger, written out. */
function addCounts(
  counts: Distribution['counts'],
  from: number,
  length: number,
  reader: PackedReader,
) {
  const { bytes } = reader
  const to = from + length
  let { at } = reader
  for (let i = from; i < to; i++) {
    let value = bytes[at++]!
    if (value === 0) {
      reader.at = at
      i += readInteger(reader) - 1
      at = reader.at
      continue
    }
    if (value >= 128) {
      // A byte with one behind it is 128 too large: that one is taken as one less.
      let byte = bytes[at++]!
      value += (byte - 1) * 128
      for (let unit = 128 * 128; byte >= 128; unit *= 128) {
        byte = bytes[at++]!
        value += (byte - 1) * unit
      }
    }
    counts[i]! += value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
  reader.at = at
}
