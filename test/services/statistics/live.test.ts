import { expect } from 'chai'
import type { Aggregate, WindowSlice } from '../../../schemas/records.ts'
import { AGGREGATES, AGGREGATES_LIVE, WINDOW_SLICES } from '../../../schemas/topics.ts'
import { mergeSlices } from '../../../services/bus/slice-reader.ts'
import type { Plan } from '../../../services/core/processor.ts'
import { DEFAULT_WINDOWS } from '../../../services/core/windows/hopping.ts'
import { createAggregate } from '../../../services/core/windows/slice.ts'
import { createLiveBudget } from '../../../services/statistics/live-pace.ts'
import { createStatistics } from '../../../services/statistics/processor.ts'
import { NOON_MS, sliceRecord, sliceRecordOf } from '../../records.ts'
import { SOURCE_TOPIC } from './slices-log.ts'

const POLICY = {
  ...{ ...DEFAULT_WINDOWS, latenessMs: 120_000, holdMs: 900_000, liveEveryMs: 1_000 },
  ...{ sourceTopics: [SOURCE_TOPIC], hasFleet: false },
}

/** Statistics of one partition, whose `count` series change with every range that it merges. */
function withSeries(count: number, liveBudget = createLiveBudget()) {
  const processor = createStatistics(
    {
      ...{ topic: WINDOW_SLICES, partition: 0, committed: null, firstOffset: 0, changelog: [] },
      partitions: { [AGGREGATES]: 1, [AGGREGATES_LIVE]: 1, [WINDOW_SLICES]: 1 },
    },
    POLICY,
    { count: () => {}, level: () => {}, mergeSlices, liveBudget },
  )
  let offset = 0
  function change(): void {
    const range = { source_topic: SOURCE_TOPIC, source_partition: 0, from: offset, to: offset + 1 }
    const slices = [sliceRecord(NOON_MS, { ...createAggregate(), requests: 1 })]
    const values: WindowSlice[] = Array.from({ length: count }, (_, i) => {
      return { ...range, series: { model: `m${i}` }, slices, closing: null }
    })
    const closing = {
      ...{ series_count: count, records: 1, dead_letters: 0, on_behalf: false },
      ...{ watermark: NOON_MS, event_watermark: NOON_MS, complete_ms: NOON_MS },
      source_partitions: 1,
    }
    values.push({ ...range, series: null, slices: [], closing })
    const records = values.map((value, i) => {
      return { offset: offset + i, appendMs: NOON_MS, value: sliceRecordOf(value), bad: null }
    })
    offset += count + 1
    processor.onBatch({ topic: WINDOW_SLICES, partition: 0, records })
  }
  return { processor, change }
}

/** How many live results of each size came, in seconds, and when time must pass again. */
function tick({ processor }: ReturnType<typeof withSeries>, afterMs: number) {
  let plan: Plan | undefined = processor.onTick({ brokerMs: NOON_MS + afterMs, caughtUp: true })
  const bySize: Record<number, number> = {}
  let wakeMs = 0
  for (; plan; plan = plan.rest?.()) {
    for (const { topic, value } of plan.outputs) {
      if (topic !== AGGREGATES_LIVE) continue
      const { size_s } = value as Aggregate
      bySize[size_s] = (bySize[size_s] ?? 0) + 1
    }
    wakeMs = plan.wakeMs
  }
  return { bySize, wakesAfterMs: wakeMs - NOON_MS - afterMs }
}

const NONE = {}

describe('statistics/live', () => {
  it('shows what has changed after each sixtieth of a window', () => {
    const statistics = withSeries(10)
    statistics.change()
    const all = { 60: 10, 300: 10, 900: 10 }
    expect(tick(statistics, 0)).deep.equal({ bySize: all, wakesAfterMs: 1_000 })
    expect(tick(statistics, 1_000).bySize, 'nothing new').deep.equal(NONE)
    const shown: string[] = []
    for (let second = 2; second <= 16; second++) {
      if (second <= 14) statistics.change()
      const { bySize } = tick(statistics, second * 1000)
      shown.push(Object.keys(bySize).join(' '))
    }
    // In seconds from 2 on; what came with the last change is shown by each size.
    const minute = '60'
    expect(shown).deep.equal([
      ...[minute, minute, minute, '60 300', minute, minute, minute, minute, '60 300'],
      ...[minute, minute, minute, minute, '300 900', ''],
    ])
  })

  it('shows many series less often, four thousand results a second', () => {
    const statistics = withSeries(2_000)
    statistics.change()
    expect(tick(statistics, 0).bySize).deep.equal({ 60: 2_000, 300: 2_000, 900: 2_000 })
    statistics.change()
    expect(tick(statistics, 1_000).bySize).deep.equal({ 60: 2_000 })
    statistics.change()
    expect(tick(statistics, 2_499).bySize).deep.equal(NONE)
    expect(tick(statistics, 2_500).bySize).deep.equal({ 60: 2_000 })
  })

  it('shares that among the partitions of a process, and wakes for the rest as before', () => {
    const budget = createLiveBudget()
    const [one, other] = [withSeries(2_000, budget), withSeries(2_000, budget)]
    for (const each of [one, other]) each.change()
    tick(one, 0)
    expect(tick(other, 0).wakesAfterMs, 'a commit may be due').equal(1_000)
    for (const each of [one, other]) each.change()
    expect(tick(one, 1_000).bySize).deep.equal({ 60: 2_000 })
    expect(tick(other, 2_499).bySize).deep.equal(NONE)
    expect(tick(other, 2_500).bySize).deep.equal({ 60: 2_000 })
  })
})
