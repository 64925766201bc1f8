/**
 * Reads Avro primitives from memory. Plain is what ends where it should, with longs below 2^52
 * (avsc errs beyond it) in at most nine bytes, ints below 2^31, and lengths and branches that are
 * there; from what is not plain on all is zero. Ints of an array are read four at a time with SIMD
 * (Plaisance, Kurz and Lemire, "Vectorized VByte Decoding", 2015). AssemblyScript.
 */

const LONG_END: u64 = 1 << 52
const INT_MAX: i64 = 0x7fffffff

/** By the highest bits of twelve bytes: how to bring up to four ints into four lanes. */
const SHUFFLES: i32 = 0x0
/** And how many ints that are, and of how many bytes in all. */
const STEPS: i32 = 0x10000
const MASK: i32 = 0xfff
const STEP_BYTES: i32 = 12
const NO_BYTE: u8 = 0x80

let at: i32 = 0
let end: i32 = 0
let isPlain: bool = true
/** Of the block of an array or map that is being read, when it says how long it is; or -1. */
let blockEnd: i32 = -1
/** Of the array of ints that was read last; signs are below 0 when one of them is. */
export let sum: i64 = 0
export let signs: i32 = 0

for (let mask = 0; mask <= MASK; mask++) {
  let bytes = 0
  let ints = 0
  memory.fill(SHUFFLES + mask * 16, NO_BYTE, 16)
  while (ints < 4) {
    let size = 1
    while (bytes + size <= STEP_BYTES && ((mask >> (bytes + size - 1)) & 1) === 1) size++
    if (bytes + size > STEP_BYTES || size > 4) break
    for (let i = 0; i < size; i++) {
      store<u8>(SHUFFLES + mask * 16 + ints * 4 + i, <u8>(bytes + i))
    }
    bytes += size
    ints++
  }
  store<u8>(STEPS + mask * 2, <u8>ints)
  store<u8>(STEPS + mask * 2 + 1, <u8>bytes)
}

/** Goes to `size` bytes at `start`; the next 64 bytes are lost. */
export function open(start: i32, size: i32): void {
  at = start
  end = start + size
  isPlain = true
  blockEnd = -1
  // Zeros behind the end end whatever is left open there.
  for (let i = 0; i < 64; i += 16) v128.store(end + i, i32x4.splat(0))
}

/** Where the next value begins. */
export function position(): i32 {
  return at
}

/** Whether all was plain, and is read. */
export function isDone(): bool {
  return isPlain && at === end
}

/** Calls it not plain; goes to the end, where all that is still read is zero. */
export function refuse(): void {
  isPlain = false
  at = end
}

/** A long. */
export function long(): i64 {
  let byte: u64 = load<u8>(at++)
  if (byte < 0x80) return zigzag(byte)
  let raw = byte & 0x7f
  let shift: u64 = 7
  do {
    byte = load<u8>(at++)
    raw |= (byte & 0x7f) << shift
    shift += 7
  } while (byte >= 0x80 && shift < 63)
  if (byte < 0x80 && raw >> 1 < LONG_END) return zigzag(raw)
  refuse()
  return 0
}

function zigzag(raw: u64): i64 {
  return <i64>(raw >> 1) ^ -(<i64>(raw & 1))
}

/** A long that must fit 32 bits. */
export function int(): i32 {
  const value = long()
  if (value <= INT_MAX && value >= -INT_MAX) return <i32>value
  refuse()
  return 0
}

/** The branch of a union or the symbol of an enum, below `branches`. */
export function branch(branches: i64): i32 {
  const index = long()
  if (index >= 0 && index < branches) return <i32>index
  refuse()
  return 0
}

/** Of so many bytes, or items of a byte at least, as are left. */
function fitting(size: i64): i32 {
  if (size >= 0 && size <= end - at) return <i32>size
  refuse()
  return 0
}

/** The length of a string. */
export function length(): i32 {
  return fitting(long())
}

/** The items of the next block of an array or map, behind that of the one before; 0 at the end. */
export function items(): i32 {
  if (blockEnd >= 0 && at !== blockEnd) refuse()
  blockEnd = -1
  const count = long()
  if (count >= 0) return fitting(count)
  const size = length()
  blockEnd = at + size
  return fitting(-count)
}

/** Passes over so many bytes. */
export function skipBytes(bytes: i32): void {
  at += bytes
}

/** Passes over a string, or bytes with their length. */
export function skip(): void {
  skipBytes(length())
}

/** Reads an array of ints to `into`, adds them up, and returns how many they are. */
export function ints(into: i32): i32 {
  let count = 0
  sum = 0
  signs = 0
  for (let more = items(); more > 0; more = items()) {
    readInts(more, into + 4 * count)
    count += more
  }
  return count
}

function readInts(count: i32, into: i32): void {
  let sums = i64x2.splat(0)
  let allSigns = i32x4.splat(0)
  let left = count
  while (left >= 4 && at < end) {
    const bytes = v128.load(at)
    const mask = i8x16.bitmask(bytes)
    if (mask === 0 && left >= 16) {
      // Sixteen of one byte each: what counts of tokens mostly are.
      const negative = v128.and(bytes, i8x16.splat(1))
      const all = v128.xor(i8x16.shr_u(bytes, 1), i8x16.neg(negative))
      const low = i16x8.extend_low_i8x16_s(all)
      const high = i16x8.extend_high_i8x16_s(all)
      v128.store(into, i32x4.extend_low_i16x8_s(low))
      v128.store(into, i32x4.extend_high_i16x8_s(low), 16)
      v128.store(into, i32x4.extend_low_i16x8_s(high), 32)
      v128.store(into, i32x4.extend_high_i16x8_s(high), 48)
      sums = i64x2.add(sums, pairsOf(i32x4.extadd_pairwise_i16x8_s(i16x8.add(low, high))))
      if (v128.any_true(negative)) signs = -1
      at += 16
      into += 64
      left -= 16
      continue
    }
    const step = STEPS + 2 * (mask & MASK)
    const got = <i32>load<u8>(step)
    // What begins with an int of five bytes, or of more.
    if (got === 0) break
    const lanes = zigzags(v128.swizzle(bytes, v128.load(SHUFFLES + 16 * (mask & MASK))))
    v128.store(into, lanes)
    sums = i64x2.add(sums, pairsOf(lanes))
    allSigns = v128.or(allSigns, lanes)
    at += <i32>load<u8>(step + 1)
    into += 4 * got
    left -= got
  }
  sum += i64x2.extract_lane(sums, 0) + i64x2.extract_lane(sums, 1)
  if (i32x4.bitmask(allSigns) !== 0) signs = -1
  for (; left > 0 && at < end; left--) {
    const value = int()
    store<i32>(into, value)
    into += 4
    sum += value
    signs |= value
  }
  if (left > 0) refuse()
}

/** Sums of two, in 64 bits. */
function pairsOf(lanes: v128): v128 {
  return i64x2.add(i64x2.extend_low_i32x4_s(lanes), i64x2.extend_high_i32x4_s(lanes))
}

/** Seven bits of each of four bytes, together, and the lowest of them the sign. */
function zigzags(lanes: v128): v128 {
  const low = v128.or(
    v128.and(lanes, i32x4.splat(0x7f)),
    v128.and(i32x4.shr_u(lanes, 1), i32x4.splat(0x3f80)),
  )
  const high = v128.or(
    v128.and(i32x4.shr_u(lanes, 2), i32x4.splat(0x1fc000)),
    v128.and(i32x4.shr_u(lanes, 3), i32x4.splat(0xfe00000)),
  )
  const raw = v128.or(low, high)
  return v128.xor(i32x4.shr_u(raw, 1), i32x4.neg(v128.and(raw, i32x4.splat(1))))
}
