import { expect } from 'chai'
import type { WindowSlice } from '../../../schemas/records.ts'
import { AGGREGATES, AGGREGATES_LIVE, WINDOW_SLICES } from '../../../schemas/topics.ts'
import { mergeSlices } from '../../../services/bus/slice-reader.ts'
import type { Plan } from '../../../services/core/processor.ts'
import { DEFAULT_WINDOWS } from '../../../services/core/windows/hopping.ts'
import { createAggregate } from '../../../services/core/windows/slice.ts'
import { createStatistics } from '../../../services/statistics/processor.ts'
import { NOON_MS, sliceRecord, sliceRecordOf } from '../../records.ts'
import { SOURCE_TOPIC } from './slices-log.ts'

const POLICY = {
  ...{ ...DEFAULT_WINDOWS, latenessMs: 120_000, holdMs: 900_000, liveEveryMs: 1_000 },
  ...{ sourceTopics: [SOURCE_TOPIC], hasFleet: false },
}

/** Statistics that has merged one range of one slice of each of `count` series. */
function withSeries(count: number) {
  const processor = createStatistics(
    {
      ...{ topic: WINDOW_SLICES, partition: 0, committed: null, firstOffset: 0, changelog: [] },
      partitions: { [AGGREGATES]: 1, [AGGREGATES_LIVE]: 1, [WINDOW_SLICES]: 1 },
    },
    POLICY,
    { count: () => {}, level: () => {}, mergeSlices },
  )
  const range = { source_topic: SOURCE_TOPIC, source_partition: 0, from: 0, to: count }
  const slices = [sliceRecord(NOON_MS, { ...createAggregate(), requests: 1 })]
  const values: WindowSlice[] = Array.from({ length: count }, (_, i) => {
    return { ...range, series: { model: `m${i}` }, slices, closing: null }
  })
  const closing = {
    ...{ series_count: count, records: count, dead_letters: 0, on_behalf: false },
    ...{ watermark: NOON_MS, event_watermark: NOON_MS, complete_ms: NOON_MS, source_partitions: 1 },
  }
  values.push({ ...range, series: null, slices: [], closing })
  const records = values.map((value, offset) => {
    return { offset, appendMs: NOON_MS, value: sliceRecordOf(value), bad: null }
  })
  processor.onBatch({ topic: WINDOW_SLICES, partition: 0, records })
  return processor
}

/** How many live results came at NOON_MS, and after how many milliseconds the next may. */
function tick(processor: ReturnType<typeof withSeries>) {
  let plan: Plan | undefined = processor.onTick({ brokerMs: NOON_MS, caughtUp: true })
  const outputs = []
  let wakeMs = 0
  for (; plan; plan = plan.rest?.()) {
    outputs.push(...plan.outputs)
    wakeMs = plan.wakeMs
  }
  const live = outputs.filter(({ topic }) => topic === AGGREGATES_LIVE).length
  return { live, nextMs: wakeMs - NOON_MS }
}

describe('statistics/live', () => {
  it('shows what has changed once a second', () => {
    expect(tick(withSeries(10))).deep.equal({ live: 30, nextMs: 1_000 })
  })

  it('shows many series less often, a thousand results a second', () => {
    expect(tick(withSeries(2_000))).deep.equal({ live: 6_000, nextMs: 6_000 })
  })
})
