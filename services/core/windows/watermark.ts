import type { Closing } from '../../../schemas/records.ts'

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
  /**
   * Windows that end by it are closed: the least of all partitions, the idle ones at the clock, and
   * those that others no longer wait for at what was reported on their behalf.
   */
  closed: number
  /** Of these, the ones that every partition has passed itself; the others are incomplete. */
  whole: number
  /** Of these, the ones that events have passed, anywhere; the others were closed by the clock. */
  passed: number
  /** The latest event anywhere, less the allowed disorder. */
  newest: number
}

/**
 * What decides which data is too late. The reports of a replay do not bring it back, since it
 * depends on when each of them came: an owner hands it over to the next one.
 */
export interface Lateness {
  /**
   * Data of windows that ended before it, by more than the lateness, is too late. At most `whole`,
   * and at most the latest event that was appended before everything that is still to be read: so
   * that neither the clock nor the lag of a reader makes data late, only events before it do.
   */
  late: number
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
  /** Not by itself: statistics no longer waits for it. */
  readonly onBehalf: boolean
}

/** What a partition has said; `closed` is also what was said on its behalf. */
export interface PartitionState {
  readonly watermark: number
  readonly closed: number
  readonly completeMs: number
}

const NOT_REPORTED: PartitionState = {
  watermark: NO_WATERMARK,
  closed: NO_WATERMARK,
  completeMs: -1,
}

const NONE_REPORTED = [NOT_REPORTED]

/** Width of the classes of append times in `ahead`. */
const APPEND_CLASS_MS = 10_000

/** Classes in `ahead`; behind a reader that lags further the oldest ones are put together. */
const AHEAD_MAX = 64

/** What a closing record says of its source partition. */
export function reportOf(topic: string, partition: number, closing: Closing): WatermarkReport {
  return {
    topic,
    partition,
    partitions: closing.source_partitions,
    watermark: closing.watermark,
    eventWatermark: closing.event_watermark,
    completeMs: closing.complete_ms,
    onBehalf: closing.on_behalf,
  }
}

/** Nothing reported yet. */
export function createWatermarks(expected: readonly string[]): SourceWatermarks {
  const none = Number.NEGATIVE_INFINITY
  return { byTopic: new Map(), expected, closed: none, whole: none, passed: none, newest: none }
}

/** Nothing is late yet. */
export function createLateness(): Lateness {
  return { late: Number.NEGATIVE_INFINITY, events: Number.NEGATIVE_INFINITY, ahead: new Map() }
}

/** Takes a report of one partition into the state; no watermark ever falls. */
export function reportWatermark(state: SourceWatermarks, report: WatermarkReport): void {
  const row = state.byTopic.get(report.topic) ?? []
  // A topic that grew holds everything until its new partitions have reported.
  while (row.length < report.partitions) row.push(NOT_REPORTED)
  state.byTopic.set(report.topic, row)
  const before = row[report.partition]!
  const own = report.onBehalf ? NO_WATERMARK : report.watermark
  row[report.partition] = {
    watermark: advanceWatermark(before.watermark, own),
    closed: advanceWatermark(before.closed, report.watermark),
    completeMs: advanceWatermark(before.completeMs, report.completeMs),
  }
  const [whole, closed] = [minimum(state, 'watermark'), minimum(state, 'closed')]
  if (whole > NO_WATERMARK) state.whole = advanceWatermark(state.whole, whole)
  if (closed > NO_WATERMARK) state.closed = advanceWatermark(state.closed, closed)
  if (report.eventWatermark > NO_WATERMARK) {
    state.newest = advanceWatermark(state.newest, report.eventWatermark)
  }
  state.passed = advanceWatermark(state.passed, Math.min(state.closed, state.newest))
}

/** Takes a report, which the watermarks have been given already, into what makes data late. */
export function reportLateness(
  state: Lateness,
  report: WatermarkReport,
  watermarks: SourceWatermarks,
): void {
  const completeMs = minimum(watermarks, 'completeMs')
  // A member that has just begun knows its events, but not up to when it has read.
  if (report.completeMs >= 0) noteAhead(state.ahead, report)
  for (const [endMs, eventWatermark] of state.ahead) {
    if (endMs > completeMs) continue
    state.ahead.delete(endMs)
    if (eventWatermark > NO_WATERMARK) state.events = advanceWatermark(state.events, eventWatermark)
  }
  if (state.ahead.size > AHEAD_MAX) joinOldest(state.ahead)
  state.late = advanceWatermark(state.late, Math.min(watermarks.whole, state.events))
}

function noteAhead(ahead: Map<number, number>, report: WatermarkReport): void {
  const appendClass = Math.ceil(report.completeMs / APPEND_CLASS_MS) * APPEND_CLASS_MS
  const known = ahead.get(appendClass) ?? NO_WATERMARK
  ahead.set(appendClass, advanceWatermark(known, report.eventWatermark))
}

function joinOldest(ahead: Map<number, number>): void {
  const [oldest, next] = [...ahead.keys()].sort((a, b) => a - b) as [number, number]
  ahead.set(next, Math.max(ahead.get(next)!, ahead.get(oldest)!))
  ahead.delete(oldest)
}

/** The least of all partitions; -1 while one has not reported. */
function minimum({ expected, byTopic }: SourceWatermarks, field: keyof PartitionState): number {
  let result = Number.POSITIVE_INFINITY
  for (const topic of expected) {
    for (const state of byTopic.get(topic) ?? NONE_REPORTED) {
      if (state[field] < result) result = state[field]
    }
  }
  return result
}
