import { bucketIndexOfInt } from './bucket.ts'
import { addValue, cover, type Distribution, expectMore } from './distribution.ts'
import { addExact } from './exact-sum.ts'

// A block of values within these bounds has sums below 2^52, which plain doubles hold exactly.
const PLAIN_VALUE_MAX = 2 ** 18
const PLAIN_TIMES_MAX = 2 ** 6
const BLOCK = 2 ** 10

const plainValues = new Int32Array(BLOCK)
const plainTimes = new Int32Array(BLOCK)

/**
 * Counts values[from, to), each as many times as `times` says, or once without it: the same state
 * as that of addValue for each. 0 <= value < 2^31, times >= 1.
 */
export function addValues(
  target: Distribution,
  values: Int32Array,
  times: Int32Array | null,
  from: number,
  to: number,
): void {
  for (let start = from; start < to; start += BLOCK) {
    addBlock(target, values, times, start, Math.min(to, start + BLOCK))
  }
}

/** Looks at all of them first, so that the loop that counts need not look at anything. */
function addBlock(
  target: Distribution,
  values: Int32Array,
  times: Int32Array | null,
  from: number,
  to: number,
): void {
  let min = PLAIN_VALUE_MAX
  let max = 0
  let plain = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    const n = times === null ? 1 : times[i]!
    if (value > PLAIN_VALUE_MAX || value === 0 || n > PLAIN_TIMES_MAX) {
      addValue(target, value, n)
      continue
    }
    plainValues[plain] = value
    plainTimes[plain++] = n
    if (value < min) min = value
    if (value > max) max = value
  }
  if (plain === 0) return
  expectMore(target, plain * PLAIN_TIMES_MAX)
  cover(target, bucketIndexOfInt(min), bucketIndexOfInt(max) + 1)
  addPlain(target, plain)
  if (min < target.min) target.min = min
  if (max > target.max) target.max = max
}

function addPlain(target: Distribution, plain: number): void {
  const { offset, counts } = target
  let count = 0
  let sum = 0
  let squares = 0
  for (let i = 0; i < plain; i++) {
    const value = plainValues[i]!
    const n = plainTimes[i]!
    const product = value * n
    count += n
    sum += product
    squares += value * product
    counts[bucketIndexOfInt(value) - offset]! += n
  }
  target.count += count
  addExact(target.sum, sum)
  addExact(target.squares, squares)
}
