import { bucketIndexOfInt } from './bucket.ts'
import { addToBucket, addValue, type Distribution } from './distribution.ts'
import { addExact } from './exact-sum.ts'

/** Up to here the squares of a great many values add up exactly in a double. */
const PLAIN_VALUE_MAX = 2 ** 20
const PLAIN_SUM_MAX = 2 ** 52

/**
 * Counts those of values[from, to) whose weight is 1, or all without `weights`, in one pass: the
 * same state as that of addValue for each, only that the sums are kept in plain doubles as long as
 * they are exact. Values are non-negative. Returns how many were left out.
 */
export function addSingles(
  target: Distribution,
  values: Int32Array,
  weights: Int32Array | null,
  from: number,
  to: number,
): number {
  let { min, max } = target
  let count = 0
  let sum = 0
  let squares = 0
  let others = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (weights !== null && weights[i] !== 1) {
      others++
      continue
    }
    if (value > PLAIN_VALUE_MAX || value === 0 || squares > PLAIN_SUM_MAX) {
      addSums(target, count, sum, squares)
      count = 0
      sum = 0
      squares = 0
      addValue(target, value, 1)
      continue
    }
    count++
    sum += value
    squares += value * value
    if (value < min) min = value
    if (value > max) max = value
    addToBucket(target, bucketIndexOfInt(value), 1)
  }
  addSums(target, count, sum, squares)
  if (min < target.min) target.min = min
  if (max > target.max) target.max = max
  return others
}

function addSums(target: Distribution, count: number, sum: number, squares: number): void {
  target.count += count
  addExact(target.sum, sum)
  addExact(target.squares, squares)
}
