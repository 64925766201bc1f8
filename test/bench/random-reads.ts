const WORDS = 1 << 24
const READS = 2_000_000

/**
 * Nanoseconds of a read of memory at random, 64 MiB wide, each at the place that the one before
 * gave: what others on the machine leave of it, when a loop in registers is as fast as ever.
 */
export function randomReadNs(): number {
  const next = new Uint32Array(WORDS)
  for (let i = 0; i < WORDS; i++) next[i] = spread(i)
  let at = 0
  const started = performance.now()
  for (let i = 0; i < READS; i++) at = (next[at]! + i) & (WORDS - 1)
  const ns = ((performance.now() - started) * 1e6) / READS
  // What nobody looks at need not be read.
  return at < WORDS ? ns : Number.NaN
}

/** Fibonacci hashing: neighbours go far apart. */
function spread(i: number): number {
  return (Math.imul(i, 0x9e3779b1) >>> 8) & (WORDS - 1)
}
