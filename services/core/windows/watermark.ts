import { assert } from '../errors.ts'

/** How much a source partition may be out of order, and when it counts as idle. */
export interface WatermarkPolicy {
  /** Allowed disorder: how far an event may lie behind the latest one and still be on time. */
  readonly disorderMs: number
  /** An event further ahead of its append than this is refused: it would close other's windows. */
  readonly futureMs: number
  /** Caught up and without a record for so long, a partition follows the clock. */
  readonly idleAfterMs: number
}

/** Of a partition that has not seen an event yet and is not known to be idle. */
export const NO_WATERMARK = -1

/** The watermark after an event: it never falls. */
export function advanceWatermark(watermark: number, to: number): number {
  return Math.max(to, watermark)
}

/**
 * Watermarks of all partitions of all source topics. The minimum is known only when every
 * partition has reported; until then nothing may be closed.
 */
export interface SourceWatermarks {
  readonly byTopic: Map<string, (number | null)[]>
  /** Source topics that must have reported. */
  readonly expected: readonly string[]
  merged: number
}

/** Nothing reported yet; the merged watermark is -Infinity. */
export function createWatermarks(expected: readonly string[]): SourceWatermarks {
  return { byTopic: new Map(), expected, merged: Number.NEGATIVE_INFINITY }
}

/** Takes a report of one partition and returns the merged watermark, which never falls. */
export function reportWatermark(
  state: SourceWatermarks,
  report: { topic: string; partition: number; partitions: number; watermark: number },
): number {
  const row = state.byTopic.get(report.topic) ?? []
  // A topic that grew holds everything until its new partitions have reported.
  while (row.length < report.partitions) row.push(null)
  state.byTopic.set(report.topic, row)
  if (report.watermark > NO_WATERMARK) {
    const before = row[report.partition] ?? NO_WATERMARK
    row[report.partition] = advanceWatermark(before, report.watermark)
  }
  const merged = minimum(state)
  assert(!Number.isNaN(merged), 'a watermark is not a number')
  state.merged = advanceWatermark(state.merged, merged)
  return state.merged
}

function minimum(state: SourceWatermarks): number {
  let least = Number.POSITIVE_INFINITY
  for (const topic of state.expected) {
    const row = state.byTopic.get(topic)
    if (!row) return Number.NEGATIVE_INFINITY
    for (const watermark of row) {
      if (watermark === null) return Number.NEGATIVE_INFINITY
      if (watermark < least) least = watermark
    }
  }
  return least
}
