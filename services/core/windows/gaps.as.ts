/**
 * Counts gaps before chunks by their bucket (../histogram/bucket.ts), in tables that fit the cache.
 * AssemblyScript: `npm run generate` compiles it to gaps.wasm.ts.
 */
// pages: 2

/** So many gaps and tokens at a time: squares of short gaps add up to 2^53 at most. */
export const BLOCK: i32 = 8192
export const GAPS: i32 = 0
export const TOKENS: i32 = 0x8000
/** Places of those that are counted nowhere here. */
export const OTHERS: i32 = 0x10000
/** The tables of the bucket's formula, which the caller fills: u8, then u32. */
export const BELOW: i32 = 0x18000
export const NEXT: i32 = 0x18800

/** Gaps of chunks of one token, which are the same in both measures; and those of others. */
export const BOTH: i32 = 0x19000
export const CHUNK_GAP: i32 = 0x1a800
export const ITL: i32 = 0x1c000
/** In a table: i32 count, min, max | f64 sum, squares | u32 by slot, slot 0 for zeros. */
const MIN: i32 = 4
const MAX: i32 = 8
export const SUM: i32 = 16
const SQUARES: i32 = 24
export const COUNTS: i32 = 32

/** A second: most gaps are shorter. */
export const SHORT_END_US: i32 = 1 << 20
/** A block of so many tokens each is 2^29 of them. */
const TOKENS_MAX: i32 = 1 << 16

clear(BOTH)
clear(CHUNK_GAP)
clear(ITL)

/** Makes a table empty, but for its slots. */
export function clear(table: i32): void {
  memory.fill(table, 0, COUNTS)
  store<i32>(table + MIN, SHORT_END_US)
}

/** The slot of a value below SHORT_END_US: that of its bucket, or 0. */
export function slotOf(value: i32): i32 {
  const zeros = clz(value)
  const mantissa = <u32>(value << zeros)
  const below = <i32>load<u8>(BELOW + ((mantissa >>> 20) & 0x7ff))
  const above = i32(mantissa > load<u32>(NEXT + 4 * below))
  // What the formula makes of 1 is -1, and of 0 -65.
  return (31 - zeros) * 64 + below - 1 + above + 65
}

/** Counts gaps[from, to), without tokens as of one each; returns how many it did not count. */
export function count(from: i32, to: i32, hasTokens: bool): i32 {
  let least = load<i32>(BOTH + MIN)
  let most = load<i32>(BOTH + MAX)
  let sum: i64 = 0
  let squares: i64 = 0
  let counted = 0
  let others = 0
  for (let i = from; i < to; i++) {
    const us = load<i32>(GAPS + 4 * i)
    const tokens = hasTokens ? load<i32>(TOKENS + 4 * i) : 1
    if (us >= SHORT_END_US || tokens > TOKENS_MAX) {
      store<i32>(OTHERS + 4 * others++, i)
    } else if (tokens === 1) {
      const slot = BOTH + COUNTS + 4 * slotOf(us)
      store<i32>(slot, load<i32>(slot) + 1)
      counted++
      sum += us
      squares += <i64>us * us
      least = min(least, us)
      most = max(most, us)
    } else {
      add(CHUNK_GAP, us, 1)
      if (tokens > 0) add(ITL, (2 * us + tokens) / (2 * tokens), tokens)
    }
  }
  store<i32>(BOTH, load<i32>(BOTH) + counted)
  store<i32>(BOTH + MIN, least)
  store<i32>(BOTH + MAX, most)
  addSums(BOTH, sum, squares)
  return others
}

function add(table: i32, us: i32, times: i32): void {
  const slot = table + COUNTS + 4 * slotOf(us)
  store<i32>(slot, load<i32>(slot) + times)
  store<i32>(table, load<i32>(table) + times)
  store<i32>(table + MIN, min(us, load<i32>(table + MIN)))
  store<i32>(table + MAX, max(us, load<i32>(table + MAX)))
  addSums(table, <i64>us * times, <i64>us * us * times)
}

function addSums(table: i32, sum: i64, squares: i64): void {
  store<f64>(table + SUM, load<f64>(table + SUM) + <f64>sum)
  store<f64>(table + SQUARES, load<f64>(table + SQUARES) + <f64>squares)
}
