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
  /** Windows that end by it are closed: the least of all partitions, the idle ones at the clock. */
  closed: number
  /**
   * Data of windows that ended before it, by more than the lateness, is too late. At most `closed`,
   * and at most the latest event anywhere: while nobody sends, nothing becomes too late, so that
   * a backfill may pause, or begin after a silence.
   */
  late: number
  /** The latest event anywhere, less the allowed disorder. */
  events: number
}

/** What one partition says of itself. */
export interface WatermarkReport {
  readonly topic: string
  readonly partition: number
  /** How many partitions the topic has. */
  readonly partitions: number
  readonly watermark: number
  readonly eventWatermark: number
}

/** Nothing reported yet; both watermarks are -Infinity. */
export function createWatermarks(expected: readonly string[]): SourceWatermarks {
  const none = Number.NEGATIVE_INFINITY
  return { byTopic: new Map(), expected, closed: none, late: none, events: none }
}

/** Takes a report of one partition into the state; neither watermark ever falls. */
export function reportWatermark(state: SourceWatermarks, report: WatermarkReport): void {
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
  state.closed = advanceWatermark(state.closed, merged)
  if (report.eventWatermark > NO_WATERMARK) {
    state.events = advanceWatermark(state.events, report.eventWatermark)
  }
  state.late = advanceWatermark(state.late, Math.min(state.closed, state.events))
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
