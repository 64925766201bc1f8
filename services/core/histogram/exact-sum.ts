import { assert } from '../errors.ts'

/**
 * Exact sums of integers beyond 2^53, in two limbs: value = high * 2^52 + low, 0 <= low < 2^52.
 * Addition of integers is associative, so any order, split or replay gives the same limbs.
 */
export interface ExactSum {
  high: number
  low: number
}

const LIMB = 2 ** 52

/** Zero. */
export function createExactSum(): ExactSum {
  return { high: 0, low: 0 }
}

/** Makes it zero. */
export function clearExact(sum: ExactSum): void {
  sum.high = 0
  sum.low = 0
}

/** Adds an integer-valued double, |value| < 2^104; negative values too. */
export function addExact(sum: ExactSum, value: number): void {
  if (value >= 0 && value < LIMB) {
    sum.low += value
  } else {
    const high = Math.floor(value / LIMB)
    sum.high += high
    sum.low += value - high * LIMB
  }
  if (sum.low >= LIMB) {
    sum.low -= LIMB
    sum.high += 1
  }
}

/** Adds factor * factor * times, all non-negative integers, exactly. */
export function addProduct(sum: ExactSum, factorA: number, factorB: number, times: number): void {
  const product = factorA * factorB * times
  if (product < LIMB) {
    addExact(sum, product)
    return
  }
  const exact = BigInt(factorA) * BigInt(factorB) * BigInt(times)
  sum.high += Number(exact >> 52n)
  addExact(sum, Number(exact & (2n ** 52n - 1n)))
}

/** Adds `other` into `sum`. */
export function mergeExact(sum: ExactSum, other: ExactSum): void {
  sum.high += other.high
  addExact(sum, other.low)
  assert(Number.isSafeInteger(sum.high), 'an exact sum has outgrown its two limbs')
}

/** The exact value. */
export function exactValue(sum: ExactSum): bigint {
  return BigInt(sum.high) * 2n ** 52n + BigInt(sum.low)
}
