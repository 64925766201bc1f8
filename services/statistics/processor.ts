import type { Aggregate, WindowSlice } from '../../schemas/records.ts'
import { AGGREGATES, AGGREGATES_LIVE, WINDOW_SLICES } from '../../schemas/topics.ts'
import { partitionOf } from '../core/hash.ts'
import type { Assignment, Batch, Commit, Output, Plan, Processor, Tick } from '../core/processor.ts'
import { createHold, type Held } from '../core/windows/hold.ts'
import type { WindowPlan } from '../core/windows/hopping.ts'
import { seriesOf } from '../core/windows/series.ts'
import type { MergeSlices, SliceRecord } from '../core/windows/slice-record.ts'
import {
  createLateness,
  createWatermarks,
  type Lateness,
  NO_WATERMARK,
  reportLateness,
  reportOf,
  reportWatermark,
} from '../core/windows/watermark.ts'
import type { Run } from './incomplete.ts'
import { createLivePace, type LiveBudget } from './live-pace.ts'
import { type CompleteRange, createMerger } from './merger.ts'
import { createWindows } from './windows.ts'

/** What statistics is told. */
export interface StatisticsPolicy extends WindowPlan {
  readonly latenessMs: number
  /** How long a window waits for a partition that others are ahead of. */
  readonly holdMs: number
  /** How often results of the shortest open windows are published. */
  readonly liveEveryMs: number
  /** Topics that windowing reads: each must have reported before a window can close. */
  readonly sourceTopics: readonly string[]
  /** Whether the whole fleet is one of the groupings. */
  readonly hasFleet: boolean
}

const COMMIT_EVERY_MS = 1_000

/** Results in one plan. */
const PART_MAX = 1_000

/** What the processor of one partition works with: its counters, and what reads slices. */
export interface StatisticsParts {
  readonly mergeSlices: MergeSlices
  readonly liveBudget: LiveBudget
  count(name: string, times: number, series?: string): void
  level(name: string, value: number, partition: number): void
}

/** What the next owner of the partition needs besides the log (design §4.3). */
interface Snapshot {
  readonly rewind: number
  readonly through: number | null
  /** Missing in what an earlier build has committed, like the next two. */
  readonly whole?: number | null
  readonly fleetIncomplete?: readonly Run[]
  readonly lateness?: LatenessState
  readonly fleetSince: number | null
}

/** As JSON has it: null is -Infinity. */
interface LatenessState {
  readonly late: number | null
  readonly events: number | null
  readonly ahead: readonly (readonly [number, number])[]
}

/**
 * Merges the ranges of one partition of the slices topic into windows. The topic is its own
 * changelog: after a restart it is replayed, silently, from where the oldest slice still needed
 * was first written.
 */
export function createStatistics(
  { partition, committed, firstOffset, partitions }: Assignment,
  policy: StatisticsPolicy,
  parts: StatisticsParts,
): Processor {
  const last: Snapshot | null = committed?.metadata ? JSON.parse(committed.metadata) : null
  const live = committed?.offset ?? 0
  const counted = {
    count: (name: string, times: number, series?: string) => {
      if (next >= live) parts.count(name, times, series)
    },
  }
  const fleetPartition = partitionOf(seriesOf({}).key, partitions[WINDOW_SLICES]!)
  const ownsFleet = policy.hasFleet && partition === fleetPartition
  const fleetSinceMs = last?.fleetSince ?? Number.NEGATIVE_INFINITY
  const lateness = last?.lateness ? readLateness(last.lateness) : createLateness()
  const resumed = { ownsFleet, fleetSinceMs, lateMs: lateness.late }
  const windows = createWindows({ ...policy, ...resumed }, { ...parts, ...counted })
  const merger = createMerger(counted, (offset) => offset < live)
  const watermarks = createWatermarks(policy.sourceTopics)
  const hold = createHold(policy.holdMs)
  const pace = createLivePace(policy, parts.liveBudget)
  const start = last?.rewind ?? committed?.offset ?? firstOffset
  let next = start
  let uncommitted = false
  let committedMs = Number.NEGATIVE_INFINITY
  let lastAppendMs = Number.NEGATIVE_INFINITY
  let isReplaying = true
  endReplay()

  function apply(range: CompleteRange): Iterable<Aggregate> {
    for (const record of range.records) windows.merge(record, range.floorOffset)
    if (range.records.length > 0) pace.heard(`${range.topic}-${range.partition}`, lastAppendMs)
    const report = reportOf(range.topic, range.partition, range.closing)
    reportWatermark(watermarks, report)
    if (!isReplaying) reportLateness(lateness, report, watermarks)
    return windows.advance({ ...watermarks, late: lateness.late })
  }

  function onBehalf(held: Held): Output {
    parts.count('hold_ended', 1)
    const at = merger.endOf(held.topic, held.partition)!
    const value = reportOnBehalf(held, at, watermarks.byTopic.get(held.topic)!.length)
    return { topic: WINDOW_SLICES, partition, key: null, value }
  }

  function snapshot(): Commit {
    const rewind = Math.min(next, windows.floorOffset(), merger.rewindOffset())
    const state: Snapshot = {
      rewind,
      through: finite(windows.through()),
      whole: finite(windows.wholeMs()),
      fleetIncomplete: windows.fleetIncomplete(),
      lateness: writeLateness(lateness),
      fleetSince: finite(windows.fleetSince()),
    }
    return { offset: next, metadata: JSON.stringify(state) }
  }

  function endReplay(): void {
    if (!isReplaying || next < live) return
    isReplaying = false
    const throughMs = last?.through ?? Number.NEGATIVE_INFINITY
    const wholeMs = last?.whole === undefined ? throughMs : (last.whole ?? Number.NEGATIVE_INFINITY)
    windows.resume({ throughMs, wholeMs, fleetIncomplete: last?.fleetIncomplete ?? [] })
  }

  function plan(outputs: readonly Output[], nowMs: number): Plan {
    const isTime = outputs.length > 0 || nowMs - committedMs >= COMMIT_EVERY_MS
    const due = uncommitted && !isReplaying && isTime
    if (due) {
      uncommitted = false
      committedMs = nowMs
    }
    // A commit may be due before the next live results.
    const wakeMs = Math.min(pace.dueMs(), nowMs + COMMIT_EVERY_MS)
    return { outputs, effects: [], commit: due ? snapshot() : null, wakeMs }
  }

  function* results(batch: Batch): Iterable<Aggregate> {
    for (const { offset, appendMs, value, bad } of batch.records) {
      endReplay()
      lastAppendMs = appendMs
      const range = bad ? null : merger.add(offset, value as SliceRecord)
      if (range) yield* apply(range)
      next = offset + 1
    }
    endReplay()
    uncommitted = true
  }

  function* liveResults(nowMs: number): Iterable<Aggregate> {
    const sizesMs = pace.dueSizesMs(nowMs)
    if (sizesMs.length === 0) return
    let results = 0
    for (const aggregate of windows.live(sizesMs)) {
      results++
      yield aggregate
    }
    pace.shown(sizesMs, nowMs, results)
  }

  /** Takes a part of the results at a time: a watermark that jumps over a day closes thousands. */
  function inParts(topic: string, source: Iterator<Aggregate>, nowMs: () => number): Plan {
    const part: Output[] = []
    while (part.length < PART_MAX) {
      const { done, value } = source.next()
      if (done) return plan(part, nowMs())
      part.push(keyed(topic, value, partitions[topic]!))
    }
    const rest = () => inParts(topic, source, nowMs)
    return { outputs: part, effects: [], commit: null, wakeMs: nowMs(), rest }
  }

  return {
    startOffset: start,
    onBatch(batch: Batch): Plan {
      return inParts(AGGREGATES, results(batch)[Symbol.iterator](), () => lastAppendMs)
    },
    onTick({ brokerMs, caughtUp }: Tick): Plan {
      if (isReplaying || !Number.isFinite(brokerMs)) return plan([], brokerMs)
      const held = caughtUp ? hold.look(brokerMs, watermarks) : []
      if (held.length > 0) return plan(held.map(onBehalf), brokerMs)
      parts.level('series', windows.seriesCount(), partition)
      const delayMs = brokerMs - windows.through()
      if (Number.isFinite(delayMs)) parts.level('watermark_delay_ms', delayMs, partition)
      const live = liveResults(brokerMs)[Symbol.iterator]()
      return inParts(AGGREGATES_LIVE, live, () => brokerMs)
    },
    onDrain: () => plan([], Number.POSITIVE_INFINITY),
  }
}

/** A result as a record of its series' partition. */
function keyed(topic: string, value: Aggregate, partitions: number): Output {
  const { key } = seriesOf(value.series)
  return { topic, partition: partitionOf(key, partitions), key, value }
}

/** A closing record: in the log, so that all who read it close the same windows at one place. */
function reportOnBehalf(held: Held, at: number, sourcePartitions: number): WindowSlice {
  const place = { source_topic: held.topic, source_partition: held.partition, from: at, to: at }
  const closing = {
    ...{ series_count: 0, records: 0, dead_letters: 0 },
    watermark: held.watermark,
    event_watermark: NO_WATERMARK,
    complete_ms: held.state.completeMs,
    source_partitions: sourcePartitions,
    on_behalf: true,
  }
  return { ...place, series: null, slices: [], closing }
}

function finite(ms: number): number | null {
  return Number.isFinite(ms) ? ms : null
}

function writeLateness({ late, events, ahead }: Lateness): LatenessState {
  return { late: finite(late), events: finite(events), ahead: [...ahead] }
}

function readLateness({ late, events, ahead }: LatenessState): Lateness {
  const none = Number.NEGATIVE_INFINITY
  return { late: late ?? none, events: events ?? none, ahead: new Map(ahead) }
}
