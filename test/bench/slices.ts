/** Statistics in memory, without Kafka: fed with slices as windowing writes them. */
import type { WindowSlice } from '../../schemas/records.ts'
import { AGGREGATES, AGGREGATES_LIVE, WINDOW_SLICES } from '../../schemas/topics.ts'
import { mergeSlices } from '../../services/bus/slice-reader.ts'
import type { Processor } from '../../services/core/processor.ts'
import { createRandom } from '../../services/core/random.ts'
import { SLICE_MS } from '../../services/core/windows/slice.ts'
import { createLiveBudget } from '../../services/statistics/live-pace.ts'
import { createStatistics } from '../../services/statistics/processor.ts'
import { NOON_MS, sliceRecord, sliceRecordOf } from '../records.ts'
import { countedOf, measuredOf, seriesLabels } from './fleet.ts'
import { STATISTICS, taken } from './flow.ts'

export const SOURCE_TOPIC = 'raw'
const REQUEST_CHUNKS = 50
const DISORDER_MS = 5_000

/** How many slices differ in what was measured; the others share it. */
const DIFFERENT = 30

/** Statistics that own the only partition of the slices. */
export function createAlone(partitions = 1): Processor {
  const topics = [WINDOW_SLICES, AGGREGATES, AGGREGATES_LIVE]
  const assignment = {
    ...{ topic: WINDOW_SLICES, partition: 0, committed: null, firstOffset: 0, changelog: [] },
    partitions: Object.fromEntries(topics.map((topic) => [topic, partitions])),
  }
  const policy = { ...STATISTICS, sourceTopics: [SOURCE_TOPIC], hasFleet: false }
  const parts = { mergeSlices, liveBudget: createLiveBudget() }
  return createStatistics(assignment, policy, { ...parts, count: () => {}, level: () => {} })
}

export interface Load {
  readonly seed: number
  readonly series: number
  /** Requests that each series ends in each slice of ten seconds; of fifty chunks each. */
  readonly requests: number
}

/** What so many series do in the n-th slice: a range, its closing record behind it. */
export function createRanges({ seed, series, requests }: Load): (n: number) => WindowSlice[] {
  const random = createRandom(seed)
  const kinds = Array.from({ length: DIFFERENT }, () => {
    const measured = measuredOf(requests, REQUEST_CHUNKS, random)
    return sliceRecord(0, countedOf(requests, REQUEST_CHUNKS, measured))
  })
  const labels = Array.from({ length: series }, (_, place) => seriesLabels(place))
  return (n) => {
    const start = NOON_MS + n * SLICE_MS
    const range = { source_topic: SOURCE_TOPIC, source_partition: 0, from: n, to: n + 1 }
    const records = labels.map((own, place): WindowSlice => {
      const slice = { ...kinds[(place + n) % DIFFERENT]!, start }
      return { ...range, series: own, slices: [slice], closing: null }
    })
    const watermark = start + SLICE_MS - DISORDER_MS
    const closing = {
      ...{ series_count: series, records: series, dead_letters: 0 },
      ...{ watermark, event_watermark: watermark, complete_ms: start + SLICE_MS },
      ...{ source_partitions: 1, on_behalf: false },
    }
    return [...records, { ...range, series: null, slices: [], closing }]
  }
}

/** Gives the records to statistics and takes all that comes of them; how many results it were. */
export function give(processor: Processor, n: number, values: readonly WindowSlice[]): number {
  const first = n * values.length
  const appendMs = NOON_MS + (n + 1) * SLICE_MS
  const records = values.map((value, i) => {
    return { offset: first + i, appendMs, value: sliceRecordOf(value), bad: null }
  })
  return taken(processor.onBatch({ topic: WINDOW_SLICES, partition: 0, records }))
}

/** The live results that are due after the n-th slice. */
export function takeLive(processor: Processor, n: number): number {
  return taken(processor.onTick({ brokerMs: NOON_MS + (n + 1) * SLICE_MS, caughtUp: true }))
}
