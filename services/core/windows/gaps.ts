import { bucketIndexOfInt } from '../histogram/bucket.ts'
import { addValue, cover, type Distribution, expectMore } from '../histogram/distribution.ts'
import { addExact } from '../histogram/exact-sum.ts'

/**
 * Where gaps before chunks are counted: each as a gap between chunks, and shared out between its
 * tokens, if any. Those of chunks of one token are the same in both measures, and counted once.
 */
export interface GapCounts {
  readonly single: Distribution
  readonly chunkGap: Distribution
  readonly itl: Distribution
}

/** A second: the squares of a block add up to less than 2^49, which doubles hold exactly. */
const SHORT_END_US = 2 ** 20
const BLOCK = 512

const singleUs = new Int32Array(BLOCK)
const otherAt = new Int32Array(BLOCK)

/** Counts gaps[from, to). Without `tokens` each chunk has one. */
export function countGaps(
  counts: GapCounts,
  gapsUs: Int32Array,
  tokens: Int32Array | null,
  from: number,
  to: number,
): void {
  for (let start = from; start < to; start += BLOCK) {
    const end = Math.min(to, start + BLOCK)
    const isPlain = tokens === null && countShort(counts.single, gapsUs, start, end)
    if (!isPlain) countBlock(counts, gapsUs, tokens, start, end)
  }
}

/** Parts those that are counted at once from the others, without a branch that none can predict. */
function countBlock(
  { single, chunkGap, itl }: GapCounts,
  gapsUs: Int32Array,
  tokens: Int32Array | null,
  from: number,
  to: number,
): void {
  let singles = 0
  let others = 0
  for (let i = from; i < to; i++) {
    const us = gapsUs[i]!
    const n = tokens === null ? 1 : tokens[i]!
    const isSingle = us < SHORT_END_US && n === 1 ? 1 : 0
    singleUs[singles] = us
    otherAt[others] = i
    singles += isSingle
    others += 1 - isSingle
  }
  countShort(single, singleUs, 0, singles)
  for (let k = 0; k < others; k++) {
    const i = otherAt[k]!
    const n = tokens === null ? 1 : tokens[i]!
    addValue(chunkGap, gapsUs[i]!, 1)
    if (n > 0) addValue(itl, Math.round(gapsUs[i]! / n), n)
  }
}

/** The same state as that of addValue for each of [from, to); false, and none, if one is long. */
function countShort(target: Distribution, values: Int32Array, from: number, to: number): boolean {
  if (from === to) return true
  let minUs = SHORT_END_US
  let maxUs = 0
  for (let i = from; i < to; i++) {
    minUs = Math.min(minUs, values[i]!)
    maxUs = Math.max(maxUs, values[i]!)
  }
  if (maxUs >= SHORT_END_US) return false
  // Looked after once, so that the loop that counts need not look at anything.
  expectMore(target, to - from)
  cover(target, bucketIndexOfInt(Math.max(1, minUs)), bucketIndexOfInt(Math.max(1, maxUs)) + 1)
  addAll(target, values, from, to)
  if (minUs < target.min) target.min = minUs
  if (maxUs > target.max) target.max = maxUs
  return true
}

/** Zeros go into the bucket of one at first, and out of it at the end. */
function addAll(target: Distribution, values: Int32Array, from: number, to: number): void {
  const { counts, offset } = target
  let sum = 0
  let squares = 0
  let zeros = 0
  for (let i = from; i < to; i++) {
    const us = values[i]!
    const isZero = us === 0 ? 1 : 0
    zeros += isZero
    sum = (sum + us) | 0
    squares += us * us
    counts[bucketIndexOfInt(us + isZero) - offset]!++
  }
  if (zeros > 0) counts[bucketIndexOfInt(1) - offset]! -= zeros
  target.count += to - from
  target.zeroCount += zeros
  addExact(target.sum, sum)
  addExact(target.squares, squares)
}
