import { addValues } from '../histogram/add-values.ts'
import type { Distribution } from '../histogram/distribution.ts'

/**
 * Gaps before chunks that are not counted yet. They are written one behind the other and counted
 * many at a time: the buckets of thousands of series do not fit into a cache, these do.
 */
export interface GapBuffer {
  count: number
  gapsUs: Int32Array
  /** Tokens of each chunk. */
  tokens: Int32Array
}

const GAPS_MIN = 64
const GAPS_MAX = 1_024

/** An empty one. */
export function createGapBuffer(): GapBuffer {
  return { count: 0, gapsUs: new Int32Array(GAPS_MIN), tokens: new Int32Array(GAPS_MIN) }
}

/** Whether it has to be counted before more can be kept. */
export function isFull({ count }: GapBuffer): boolean {
  return count === GAPS_MAX
}

/**
 * Keeps gaps[from, to), or as many as there is room for; returns where it stopped. Without `tokens`
 * each chunk has one.
 */
export function keepGaps(
  buffer: GapBuffer,
  gapsUs: Int32Array,
  tokens: Int32Array | null,
  from: number,
  to: number,
): number {
  const end = Math.min(to, from + GAPS_MAX - buffer.count)
  if (buffer.count + end - from > buffer.gapsUs.length) grow(buffer, buffer.count + end - from)
  const { count, gapsUs: keptUs, tokens: kept } = buffer
  const shift = count - from
  for (let i = from; i < end; i++) keptUs[i + shift] = gapsUs[i]!
  if (tokens === null) kept.fill(1, count, end + shift)
  else for (let i = from; i < end; i++) kept[i + shift] = tokens[i]!
  buffer.count = end + shift
  return end
}

function grow(buffer: GapBuffer, count: number): void {
  const size = Math.min(GAPS_MAX, 2 ** Math.ceil(Math.log2(count)))
  const [gapsUs, tokens] = [new Int32Array(size), new Int32Array(size)]
  gapsUs.set(buffer.gapsUs)
  tokens.set(buffer.tokens)
  Object.assign(buffer, { gapsUs, tokens })
}

/** Counts what is kept: each as a gap between chunks, and shared out between its tokens, if any. */
export function countGaps(buffer: GapBuffer, chunkGap: Distribution, itl: Distribution): void {
  const { count, gapsUs, tokens } = buffer
  buffer.count = 0
  addValues(chunkGap, gapsUs, null, 0, count)
  let withTokens = 0
  for (let i = 0; i < count; i++) {
    const times = tokens[i]!
    if (times === 0) continue
    gapsUs[withTokens] = Math.round(gapsUs[i]! / times)
    tokens[withTokens++] = times
  }
  addValues(itl, gapsUs, tokens, 0, withTokens)
}
