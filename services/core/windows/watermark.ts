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
  readonly byTopic: Map<string, PartitionState[]>
  /** Source topics that must have reported. */
  readonly expected: readonly string[]
  /** Windows that end by it are closed: the least of all partitions, the idle ones at the clock. */
  closed: number
  /** Of these, the ones that events have passed, anywhere; the others were closed by the clock. */
  passed: number
  /**
   * Data of windows that ended before it, by more than the lateness, is too late. At most `closed`,
   * and at most the latest event that was appended before everything that is still to be read: so
   * that neither the clock nor the lag of a reader makes data late, only events before it do.
   */
  late: number
  /** The latest event anywhere, less the allowed disorder. */
  newest: number
  /** The latest event of what every partition has been read up to, less the allowed disorder. */
  events: number
  /** Event watermarks of what some partitions have not been read up to, by time of append. */
  readonly ahead: Map<number, number>
}

/** What one partition says of itself. */
export interface WatermarkReport {
  readonly topic: string
  readonly partition: number
  /** How many partitions the topic has. */
  readonly partitions: number
  readonly watermark: number
  readonly eventWatermark: number
  /** Broker time of append up to which the partition has been read; -1 when unknown. */
  readonly completeMs: number
}

interface PartitionState {
  readonly watermark: number
  readonly completeMs: number
}

/** Width of the classes of append times in `ahead`. */
const APPEND_CLASS_MS = 10_000

/** Nothing reported yet; `late` is what an earlier owner had reached, else -Infinity. */
export function createWatermarks(expected: readonly string[], late: number): SourceWatermarks {
  const none = Number.NEGATIVE_INFINITY
  const watermarks = { closed: none, passed: none, late, newest: none, events: none }
  return { byTopic: new Map(), expected, ...watermarks, ahead: new Map() }
}

/** Takes a report of one partition into the state; no watermark ever falls. */
export function reportWatermark(state: SourceWatermarks, report: WatermarkReport): void {
  const row = state.byTopic.get(report.topic) ?? []
  // A topic that grew holds everything until its new partitions have reported.
  while (row.length < report.partitions) row.push({ watermark: NO_WATERMARK, completeMs: -1 })
  state.byTopic.set(report.topic, row)
  const before = row[report.partition]!
  row[report.partition] = {
    watermark: advanceWatermark(before.watermark, report.watermark),
    completeMs: advanceWatermark(before.completeMs, report.completeMs),
  }
  const [watermark, completeMs] = minimum(state)
  if (watermark > NO_WATERMARK) state.closed = advanceWatermark(state.closed, watermark)
  if (report.eventWatermark > NO_WATERMARK) {
    state.newest = advanceWatermark(state.newest, report.eventWatermark)
  }
  state.passed = advanceWatermark(state.passed, Math.min(state.closed, state.newest))
  const appendClass = Math.ceil(report.completeMs / APPEND_CLASS_MS) * APPEND_CLASS_MS
  const known = state.ahead.get(appendClass) ?? NO_WATERMARK
  state.ahead.set(appendClass, advanceWatermark(known, report.eventWatermark))
  for (const [endMs, eventWatermark] of state.ahead) {
    if (endMs > completeMs) continue
    state.ahead.delete(endMs)
    if (eventWatermark > NO_WATERMARK) state.events = advanceWatermark(state.events, eventWatermark)
  }
  state.late = advanceWatermark(state.late, Math.min(state.closed, state.events))
}

/** Least watermark and least completeMs of all partitions; -1 while one has not reported. */
function minimum({ expected, byTopic }: SourceWatermarks): [number, number] {
  let watermark = Number.POSITIVE_INFINITY
  let completeMs = Number.POSITIVE_INFINITY
  for (const topic of expected) {
    for (const state of byTopic.get(topic) ?? [{ watermark: NO_WATERMARK, completeMs: -1 }]) {
      watermark = Math.min(watermark, state.watermark)
      completeMs = Math.min(completeMs, state.completeMs)
    }
  }
  return [watermark, completeMs]
}
