import type { ResourceSample } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { TokenRun } from '../core/measure/token-run.ts'
import type {
  Assignment,
  Batch,
  Decoded,
  Output,
  Plan,
  Processor,
  Tick,
} from '../core/processor.ts'
import { eventTimeUs } from '../core/windows/fold.ts'
import { type EncodedWindowSlice, SLICE_MS } from '../core/windows/slice.ts'
import { advanceWatermark, NO_WATERMARK, type WatermarkPolicy } from '../core/windows/watermark.ts'
import { createFold, type FoldPolicy, type FoldShared } from './fold.ts'

/** What windowing is told. */
export interface WindowingPolicy extends FoldPolicy, WatermarkPolicy {
  /** A range ends at the latest after so many records. */
  readonly recordsMax: number
  /** By how much the broker's second must be past before a cut at the end of the log is taken. */
  readonly cutMarginMs: number
}

export const DEFAULT_RECORDS_MAX = 50_000

/** A range also ends when it holds so many slices: one record brings 361 at most. */
const SLICES_MAX = 20_000

/** And when it holds so many chunks: each may be the first in a bucket of its slice. */
const CHUNKS_MAX = 4_000_000

/** Counters of one partition. */
export interface WindowingCounts {
  folded(seriesFolded: number): void
  /** How far event time lags behind the append of the last record. */
  watermarkDelay(delayMs: number, partition: number): void
}

/** What the partitions of one process have in common. */
export interface WindowingParts {
  readonly counts: WindowingCounts
  readonly shared: FoldShared
  /** The record as it is published: a copy, in bytes. */
  readonly encode: (record: EncodedWindowSlice) => object
}

/**
 * Folds one source partition into slices and flushes them in ranges of offsets. A range ends
 * before the first record whose append lies in a later second than its predecessor's, or after
 * recordsMax records, SLICES_MAX slices or CHUNKS_MAX chunks: a function of the log alone, so that
 * whoever does the work again produces the same bytes (design §4.1).
 */
export function createWindowing(
  { topic, partition, committed, firstOffset, partitions }: Assignment,
  policy: WindowingPolicy,
  { counts, shared, encode }: WindowingParts,
): Processor {
  const slicePartitions = partitions[WINDOW_SLICES]!
  const sourcePartitions = partitions[topic]!
  let [watermark, eventWatermark] = readWatermarks(committed?.metadata)
  let from = committed?.offset ?? firstOffset
  let next = from
  let records = 0
  let chunks = 0
  let deadLetters = 0
  let lastSecond = 0
  let lastAppendMs = Number.NEGATIVE_INFINITY
  let completeMs = -1
  let reported = false
  let fold = createFold(policy, shared)

  function add({ offset, appendMs, value, bad }: Decoded): void {
    records++
    next = offset + 1
    lastAppendMs = appendMs
    completeMs = Math.max(completeMs, appendMs)
    lastSecond = Math.floor(appendMs / 1000)
    if (bad) {
      deadLetters++
      return
    }
    const eventMs =
      topic === RESOURCE_SAMPLES ? addSample(value as ResourceSample) : addRun(value as TokenRun)
    eventWatermark = advanceWatermark(eventWatermark, Math.floor(eventMs) - policy.disorderMs)
    watermark = advanceWatermark(watermark, eventWatermark)
  }

  function addRun(run: TokenRun): number {
    fold.run(run)
    chunks += run.chunks
    return eventTimeUs(run) / 1000
  }

  function addSample(sample: ResourceSample): number {
    fold.sample(sample)
    return sample.at / 1000
  }

  function isFull(): boolean {
    const isWide = fold.sliceCount() >= SLICES_MAX || chunks >= CHUNKS_MAX
    return isWide || records >= policy.recordsMax
  }

  /** The range's records by partition, and behind them in every partition the closing record. */
  function flush(): Output[] {
    const range = { source_topic: topic, source_partition: partition, from, to: next }
    const outputs: Output[] = []
    const perPartition = fold.results(slicePartitions)
    for (let q = 0; q < slicePartitions; q++) {
      const series = perPartition[q]!
      for (const { labels, slices } of series) {
        const value = encode({ ...range, series: labels, slices, closing: null })
        outputs.push({ topic: WINDOW_SLICES, partition: q, key: null, value })
      }
      const closing = {
        series_count: series.length,
        records,
        dead_letters: deadLetters,
        watermark,
        event_watermark: eventWatermark,
        complete_ms: completeMs,
        source_partitions: sourcePartitions,
        on_behalf: false,
      }
      const value = encode({ ...range, series: null, slices: [], closing })
      outputs.push({ topic: WINDOW_SLICES, partition: q, key: null, value })
    }
    fold.release()
    counts.folded(fold.seriesFolded())
    if (records > 0) counts.watermarkDelay(lastAppendMs - watermark, partition)
    fold = createFold(policy, shared)
    from = next
    records = 0
    chunks = 0
    deadLetters = 0
    return outputs
  }

  /** When the next look at the clock is due: at the cut, or when the idle watermark moves on. */
  function wakeMs(): number {
    if (!reported) return Number.NEGATIVE_INFINITY
    if (records > 0) return (lastSecond + 1) * 1000 + policy.cutMarginMs
    const nextSlice = (Math.floor(watermark / SLICE_MS) + 1) * SLICE_MS
    return Math.max(lastAppendMs + policy.idleAfterMs, nextSlice + policy.disorderMs)
  }

  function plan(outputs: readonly Output[], cut: boolean): Plan {
    const commit = cut ? { offset: from, metadata: `${watermark},${eventWatermark}` } : null
    return { outputs, effects: [], commit, wakeMs: wakeMs() }
  }

  return {
    startOffset: committed?.offset ?? null,
    onBatch(batch: Batch): Plan {
      const outputs: Output[] = []
      let cut = false
      for (const record of batch.records) {
        const later = Math.floor(record.appendMs / 1000) > lastSecond
        if (records > 0 && (later || isFull())) {
          for (const output of flush()) outputs.push(output)
          cut = true
        }
        add(record)
      }
      return plan(outputs, cut)
    },
    onTick({ brokerMs, caughtUp }: Tick): Plan {
      if (!reported) {
        // The acknowledgement of a first, empty report teaches the runner the broker's clock.
        reported = true
        return plan(records === 0 ? flush() : [], false)
      }
      // A partition without a record since the start is idle from now on, not from ever.
      if (lastAppendMs === Number.NEGATIVE_INFINITY) lastAppendMs = brokerMs
      if (!caughtUp || brokerMs < wakeMs()) return plan([], false)
      if (records > 0) return plan(flush(), true)
      watermark = advanceWatermark(watermark, Math.floor(brokerMs) - policy.disorderMs)
      completeMs = Math.max(completeMs, Math.floor(brokerMs))
      // Committed, so that the next owner does not fall back behind what the clock has closed.
      return plan(flush(), true)
    },
    // A cut is where the log says, not where a process happens to stop.
    onDrain: () => plan([], false),
  }
}

/** The watermarks that the partition's last owner committed. */
function readWatermarks(metadata: string | undefined): [number, number] {
  const [watermark, eventWatermark] = metadata ? metadata.split(',').map(Number) : []
  return [watermark ?? NO_WATERMARK, eventWatermark ?? NO_WATERMARK]
}
