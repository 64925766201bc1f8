/** Draws the next number, evenly spread over [0, 1). */
export type Random = () => number

/**
 * A seeded generator (mulberry32): 32 bits of state, good enough for latencies and for tests, and
 * the same everywhere, so that what a seed did can be done again.
 */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}
