/**
 * Reads an Avro record of TokenEvents in one pass. AssemblyScript: `npm run generate` compiles it to
 * token-run.wasm.ts. Varints are read four at a time with SIMD (Plaisance, Kurz and
 * Lemire, "Vectorized VByte Decoding", 2015). What is not plain (longer or wider than usual, cut
 * off, in blocks with sizes, wrong) is only refused here: avsc reads it, or says what it lacks.
 */
// pages: 180

/** Where the caller puts a record of at most RECORD_BYTES_MAX bytes, and finds what was read. */
export const RECORD: i32 = 0x100000
export const RECORD_BYTES_MAX: i32 = 0x100000
export const GAPS: i32 = 0x300000
export const TOKENS: i32 = 0x700000
/** i32: labels from, to | first_chunk chunks tokens signs | end? status error from, to, tokens, chunks */
export const INTS: i32 = 0x20000
/** f64: started_at elapsed last | duration ttft intended input output | the three of security */
export const DOUBLES: i32 = 0x20100

const NULL: f64 = NaN
const SAFE_MAX: u64 = (1 << 53) - 1
const INT_MAX: i64 = 0x7fffffff

/** By the highest bits of twelve bytes: how to bring up to four ints into four lanes. */
const SHUFFLES: i32 = 0x0
/** And how many ints that are, and of how many bytes in all. */
const STEPS: i32 = 0x10000
const MASK: i32 = 0xfff
const STEP_BYTES: i32 = 12
const NO_BYTE: u8 = 0x80
/** Behind a record: they end whatever it leaves open. */
const PADDING: i32 = 64

let at: i32 = 0
let end: i32 = 0
let isPlain: bool = true
let sum: i64 = 0
let signs: i32 = 0

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

/** Reads the record of `size` bytes from `start` on; false when it is not plain. */
export function read(start: i32, size: i32): bool {
  at = RECORD + start
  end = RECORD + size
  isPlain = true
  memory.fill(end, 0, PADDING)
  skip() // request_id
  skip() // source
  setInt(0, at - RECORD)
  for (let i = 0; i < 5; i++) skip()
  for (let entries = items(); entries > 0; entries = items()) {
    for (let i = 0; i < 2 * entries; i++) skip()
  }
  setInt(1, at - RECORD)
  setDouble(0, <f64>long())
  setInt(2, int())
  const elapsedUs = long()
  setDouble(1, <f64>elapsedUs)
  setInt(3, ints(GAPS))
  setDouble(2, <f64>(elapsedUs + sum))
  const gapSigns = signs
  setInt(4, ints(TOKENS))
  setInt(5, gapSigns | signs)
  branch(3) // token_source
  const hasEnd = branch(2)
  setInt(6, hasEnd)
  if (hasEnd) readEnd()
  return isPlain && at === end
}

function readEnd(): void {
  setInt(7, branch(4)) // status
  const errorSize = length()
  setInt(8, at - RECORD)
  at += errorSize
  setInt(9, at - RECORD)
  skip() // finish_reason
  setDouble(3, <f64>long()) // duration_us
  setDouble(4, branch(2) ? <f64>long() : NULL) // ttft_us
  setInt(10, int()) // first_chunk_tokens
  setInt(11, int()) // chunks
  setDouble(5, branch(2) ? <f64>long() : NULL) // intended_at
  setDouble(6, branch(2) ? <f64>int() : NULL) // input_tokens
  setDouble(7, branch(2) ? <f64>int() : NULL) // output_tokens
  if (branch(2)) int() // cached_tokens
  if (branch(2)) int() // reasoning_tokens
  int() // attempts
  if (branch(2)) at += 8 // cost_usd
  const hasSecurity = branch(2)
  for (let i = 8; i < 11; i++) setDouble(i, hasSecurity ? <f64>long() : NULL)
  if (branch(2)) {
    // speculative: draft_tokens, accepted_tokens, draft_us, round_trip_us, verify_us
    int()
    int()
    for (let i = 0; i < 3; i++) long()
  }
  for (let names = items(); names > 0; names = items()) {
    for (let i = 0; i < names; i++) skip() // quality
  }
}

function setInt(field: i32, value: i32): void {
  store<i32>(INTS + 4 * field, value)
}

function setDouble(field: i32, value: f64): void {
  store<f64>(DOUBLES + 8 * field, value)
}

/** Goes to the end, where all that is still read is zero. */
function refuse(): void {
  isPlain = false
  at = end
}

function long(): i64 {
  let byte: u64 = load<u8>(at++)
  if (byte < 0x80) return zigzag(byte)
  let raw = byte & 0x7f
  let shift: u64 = 7
  do {
    byte = load<u8>(at++)
    raw |= (byte & 0x7f) << shift
    shift += 7
  } while (byte >= 0x80 && shift < 63)
  if (byte < 0x80 && raw >> 1 <= SAFE_MAX) return zigzag(raw)
  refuse()
  return 0
}

function zigzag(raw: u64): i64 {
  return <i64>(raw >> 1) ^ -(<i64>(raw & 1))
}

function int(): i32 {
  const value = long()
  if (value <= INT_MAX && value >= -INT_MAX) return <i32>value
  refuse()
  return 0
}

function branch(branches: i64): i32 {
  const index = long()
  if (index >= 0 && index < branches) return <i32>index
  refuse()
  return 0
}

/** Of bytes, or of items of one byte at least. */
function length(): i32 {
  const size = long()
  if (size >= 0 && size <= end - at) return <i32>size
  refuse()
  return 0
}

function items(): i32 {
  return length()
}

function skip(): void {
  // Not `at += length()`: that would read `at` before the length moves it.
  const size = length()
  at += size
}

/** Reads an array of ints to `into`, adds them up, and returns how many they are. */
function ints(into: i32): i32 {
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
    const step = STEPS + 2 * (mask & MASK)
    const got = <i32>load<u8>(step)
    // What begins with an int of five bytes, or of more.
    if (got === 0) break
    const lanes = zigzags(v128.swizzle(bytes, v128.load(SHUFFLES + 16 * (mask & MASK))))
    v128.store(into, lanes)
    sums = i64x2.add(sums, i64x2.extend_low_i32x4_s(lanes))
    sums = i64x2.add(sums, i64x2.extend_high_i32x4_s(lanes))
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
