const INT_MAX = 2 ** 31 - 1

/** A stream of more chunks than this, all at once, was held back somewhere on its way. */
const BUFFERED_CHUNKS_MIN = 9
/** No engine decodes one request faster: 20,000 chunks a second. */
const BUFFERED_GAP_US = 50

/** What the chunks of a request add up to. */
export interface Timeline {
  chunks: number
  unknown: number
  firstUs: number
  lastUs: number
  ttftUs: number | null
  firstTokens: number
  clamped: boolean
}

/** Before the first chunk. */
export function newTimeline(): Timeline {
  return {
    chunks: 0,
    unknown: 0,
    firstUs: 0,
    lastUs: 0,
    ttftUs: null,
    firstTokens: 1,
    clamped: false,
  }
}

/**
 * Adds a chunk; returns the gap before it in whole microseconds. The time is rounded, not the gap,
 * so that gaps add up to it exactly.
 */
export function addChunk(timeline: Timeline, elapsedUs: number, tokens: number | null): number {
  const atUs = Math.max(timeline.lastUs, Math.round(elapsedUs))
  const gapUs = Math.min(atUs - timeline.lastUs, INT_MAX)
  if (gapUs < atUs - timeline.lastUs) timeline.clamped = true
  if (timeline.chunks === 0) {
    timeline.firstUs = atUs
    timeline.ttftUs = gapUs
    timeline.firstTokens = tokens ?? 1
  }
  if (tokens === null) timeline.unknown += 1
  timeline.lastUs = atUs
  timeline.chunks += 1
  return gapUs
}

/** Whether every chunk came with its number of tokens. */
export function allKnown({ chunks, unknown }: Timeline): boolean {
  return chunks > 0 && unknown === 0
}

/** Whether the answer came in one piece although it was made in many. */
export function isBuffered(
  { chunks, firstUs, lastUs }: Timeline,
  outputTokens: number | null,
): boolean {
  if (chunks === 1) return (outputTokens ?? 0) >= BUFFERED_CHUNKS_MIN
  return chunks >= BUFFERED_CHUNKS_MIN && lastUs - firstUs < BUFFERED_GAP_US * (chunks - 1)
}
