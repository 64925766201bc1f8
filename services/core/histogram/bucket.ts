/**
 * Bucket index of the base-2 exponential histogram, as OTLP defines it, at the fixed scale 6:
 * bucket i holds (base^i, base^(i+1)], base = 2^(1/64), so a value is known to within 0.55 %.
 * No logarithm: the exponent is read from the double's bits and the 64 thresholds of an octave are
 * compared as exact integers, so that every machine puts a value into the same bucket.
 */
export const SCALE = 6
const SUBBUCKETS = 64
const MANTISSA_BITS = 52

/**
 * 2^(numerator / denominator), for 0 <= numerator < denominator, rounded down to 52 bits. Math.pow,
 * which may differ between machines, only says where to look: integer powers decide.
 */
function root(numerator: number, denominator: number): number {
  const limit = 1n << BigInt(MANTISSA_BITS * denominator + numerator)
  const isAbove = (value: bigint) => value ** BigInt(denominator) > limit
  let value = BigInt(Math.floor(2 ** (numerator / denominator + MANTISSA_BITS)))
  while (isAbove(value)) value -= 1n
  while (!isAbove(value + 1n)) value += 1n
  return Number(value) / 2 ** MANTISSA_BITS
}

const OCTAVE = Array.from({ length: SUBBUCKETS }, (_, k) => k)
const THRESHOLDS = Float64Array.from(OCTAVE, (k) => root(k, SUBBUCKETS))
const MIDDLES = Float64Array.from(OCTAVE, (k) => root(2 * k + 1, 2 * SUBBUCKETS))

// A cell is the top 11 bits of the mantissa: it holds at most one threshold, so that the number of
// thresholds below the cell, and one comparison, give the bucket.
const CELL_BITS = 11
/** How many thresholds are below each cell. */
export const BELOW_CELL = new Uint8Array(1 << CELL_BITS)
for (let cell = 0; cell < BELOW_CELL.length; cell++) {
  const start = 1 + cell / BELOW_CELL.length
  let below = 0
  while (below < SUBBUCKETS && THRESHOLDS[below]! < start) below++
  BELOW_CELL[cell] = below
}

const NEXT_OCTAVE = 2
const NEXT_THRESHOLD = Float64Array.from({ length: SUBBUCKETS + 1 }, (_, k) =>
  k < SUBBUCKETS ? THRESHOLDS[k]! : NEXT_OCTAVE,
)
const FLOAT = new Float64Array(1)
const BITS = new Uint32Array(FLOAT.buffer)

/** The bucket of a number of at least 1; exact for every double. */
export function bucketIndex(value: number): number {
  FLOAT[0] = value
  const high = BITS[1]!
  const below = BELOW_CELL[(high >>> (20 - CELL_BITS)) & ((1 << CELL_BITS) - 1)]!
  const exponent = (high >>> 20) - 1023
  BITS[1] = (high & 0xfffff) | 0x3ff00000
  const above = FLOAT[0] > NEXT_THRESHOLD[below]! ? 1 : 0
  return exponent * SUBBUCKETS + below - 1 + above
}

/** The same for a mantissa of 31 bits: an integer exceeds what it exceeds the floor of. */
export const NEXT_INT_THRESHOLD = Uint32Array.from(NEXT_THRESHOLD, (threshold) =>
  Math.min(Math.floor(threshold * 2 ** 31), 2 ** 32 - 1),
)

/** The bucket of an integer, 1 <= value < 2^31, without a way through a double's bits. */
export function bucketIndexOfInt(value: number): number {
  const zeros = Math.clz32(value)
  const mantissa = (value << zeros) >>> 0
  const below = BELOW_CELL[(mantissa >>> (31 - CELL_BITS)) & ((1 << CELL_BITS) - 1)]!
  const above = mantissa > NEXT_INT_THRESHOLD[below]! ? 1 : 0
  return (31 - zeros) * SUBBUCKETS + below - 1 + above
}

/** More than the bucket of any double. */
export const BUCKET_END = 1024 * SUBBUCKETS

/** The logarithmic middle of a bucket: base^(i + 1/2). */
export function bucketMiddle(index: number): number {
  const octave = Math.floor(index / SUBBUCKETS)
  return MIDDLES[index - octave * SUBBUCKETS]! * 2 ** octave
}
