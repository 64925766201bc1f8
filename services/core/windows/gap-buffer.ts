import { bucketIndexOfInt } from '../histogram/bucket.ts'
import { cover, type Distribution, expectMore } from '../histogram/distribution.ts'
import { addExact } from '../histogram/exact-sum.ts'

/**
 * Gaps before chunks that are not counted yet, each with its tokens in one word: gap << 8 | tokens.
 * They are written one behind the other and counted many at a time: the buckets of thousands of
 * series do not fit into a cache, these do.
 */
export interface GapBuffer {
  count: number
  words: Uint32Array
}

const GAPS_MIN = 64
const GAPS_MAX = 256

const TOKEN_BITS = 8
const TOKENS_END = 2 ** TOKEN_BITS
/** A second. The squares of a full buffer add up to less than 2^49, which doubles hold exactly. */
const GAP_END_US = 2 ** 20

/** An empty one. */
export function createGapBuffer(): GapBuffer {
  return { count: 0, words: new Uint32Array(GAPS_MIN) }
}

/** Whether it has to be counted before more can be kept. */
export function isFull({ count }: GapBuffer): boolean {
  return count === GAPS_MAX
}

/**
 * Keeps gaps[from, to), or as many as there is room for, up to the first one that does not fit a
 * word; returns where it stopped. Without `tokens` each chunk has one.
 */
export function keepGaps(
  buffer: GapBuffer,
  gapsUs: Int32Array,
  tokens: Int32Array | null,
  from: number,
  to: number,
): number {
  const end = Math.min(to, from + GAPS_MAX - buffer.count)
  if (buffer.count + end - from > buffer.words.length) grow(buffer, buffer.count + end - from)
  const { words } = buffer
  const shift = buffer.count - from
  let i = from
  for (; i < end; i++) {
    const gapUs = gapsUs[i]!
    const n = tokens === null ? 1 : tokens[i]!
    if (gapUs >= GAP_END_US || n >= TOKENS_END) break
    words[i + shift] = (gapUs << TOKEN_BITS) | n
  }
  buffer.count = i + shift
  return i
}

function grow(buffer: GapBuffer, count: number): void {
  const words = new Uint32Array(Math.min(GAPS_MAX, 2 ** Math.ceil(Math.log2(count))))
  words.set(buffer.words)
  buffer.words = words
}

/**
 * Counts what is kept, each as a gap between chunks, and shared out between its tokens, if any: the
 * same states as those of addValue for each.
 */
export function countGaps(buffer: GapBuffer, chunkGap: Distribution, itl: Distribution): void {
  const { count, words } = buffer
  let minUs = GAP_END_US
  let maxUs = 0
  let mostTokens = 0
  for (let i = 0; i < count; i++) {
    const gapUs = words[i]! >>> TOKEN_BITS
    const n = words[i]! & (TOKENS_END - 1)
    if (gapUs < minUs) minUs = gapUs
    if (gapUs > maxUs) maxUs = gapUs
    if (n > mostTokens) mostTokens = n
  }
  buffer.count = 0
  makeRoom(chunkGap, count, minUs, maxUs)
  if (mostTokens > 0) makeRoom(itl, count * mostTokens, Math.floor(minUs / mostTokens), maxUs)
  addAll(words, count, chunkGap, itl)
  if (minUs < chunkGap.min) chunkGap.min = minUs
  if (maxUs > chunkGap.max) chunkGap.max = maxUs
}

/** Looked after once, so that the loop that counts need not look at anything. */
function makeRoom(target: Distribution, times: number, minUs: number, maxUs: number): void {
  expectMore(target, times)
  cover(target, bucketIndexOfInt(Math.max(1, minUs)), bucketIndexOfInt(Math.max(1, maxUs)) + 1)
}

function addAll(words: Uint32Array, count: number, chunkGap: Distribution, itl: Distribution) {
  const { counts: gapCounts, offset: gapOffset } = chunkGap
  const { counts: itlCounts, offset: itlOffset } = itl
  let [gapSum, gapSquares, gapZeros] = [0, 0, 0]
  let [itlCount, itlSum, itlSquares, itlZeros] = [0, 0, 0, 0]
  let { min, max } = itl
  for (let i = 0; i < count; i++) {
    const gapUs = words[i]! >>> TOKEN_BITS
    const n = words[i]! & (TOKENS_END - 1)
    let bucket = 0
    gapSum += gapUs
    gapSquares += gapUs * gapUs
    if (gapUs === 0) gapZeros++
    else {
      bucket = bucketIndexOfInt(gapUs)
      gapCounts[bucket - gapOffset]!++
    }
    if (n === 0) continue
    const us = n === 1 ? gapUs : Math.round(gapUs / n)
    const product = us * n
    itlCount += n
    itlSum += product
    itlSquares += us * product
    if (us < min) min = us
    if (us > max) max = us
    if (us === 0) itlZeros += n
    else itlCounts[(n === 1 ? bucket : bucketIndexOfInt(us)) - itlOffset]! += n
  }
  addTotals(chunkGap, count, gapSum, gapSquares, gapZeros)
  addTotals(itl, itlCount, itlSum, itlSquares, itlZeros)
  itl.min = min
  itl.max = max
}

function addTotals(
  target: Distribution,
  count: number,
  sum: number,
  squares: number,
  zeros: number,
): void {
  target.count += count
  target.zeroCount += zeros
  addExact(target.sum, sum)
  addExact(target.squares, squares)
}
