import { bucketIndex } from './bucket.ts'
import { addToBucket, addValue, type Distribution } from './distribution.ts'
import { addExact } from './exact-sum.ts'

/** Up to here, and so many times, a square added to another sum stays an exact double. */
const PLAIN_VALUE_MAX = 2 ** 20
const PLAIN_TIMES_MAX = 2 ** 10
const PLAIN_SUM_MAX = 2 ** 52

/**
 * Counts values[from, to) in one pass; with `weights`, each value stands for the sum of so many
 * equal parts, and its rounded part is counted so many times: not at all when there are none. The
 * same state as that of addValue for each, only that sums are kept in plain doubles as long as
 * they are exact.
 */
export function addValues(
  target: Distribution,
  values: Int32Array,
  weights: Int32Array | null,
  from: number,
  to: number,
): void {
  let { min, max } = target
  let count = 0
  let sum = 0
  let squares = 0
  for (let i = from; i < to; i++) {
    const times = weights === null ? 1 : weights[i]!
    if (times === 0) continue
    const value = times === 1 ? values[i]! : Math.round(values[i]! / times)
    if (value > PLAIN_VALUE_MAX || times > PLAIN_TIMES_MAX || squares > PLAIN_SUM_MAX) {
      addSums(target, count, sum, squares)
      count = 0
      sum = 0
      squares = 0
      addValue(target, value, times)
      continue
    }
    const product = value * times
    count += times
    sum += product
    squares += value * product
    if (value < min) min = value
    if (value > max) max = value
    if (value === 0) target.zeroCount += times
    else addToBucket(target, bucketIndex(value), times)
  }
  addSums(target, count, sum, squares)
  if (min < target.min) target.min = min
  if (max > target.max) target.max = max
}

function addSums(target: Distribution, count: number, sum: number, squares: number): void {
  target.count += count
  addExact(target.sum, sum)
  addExact(target.squares, squares)
}
