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
  function change(source_partition = 0, afterMs = 0): void {
    const range = { source_topic: SOURCE_TOPIC, source_partition, from: offset, to: offset + 1 }
    const slices = [sliceRecord(NOON_MS, { ...createAggregate(), requests: 1 })]
    const values: WindowSlice[] = Array.from({ length: count }, (_, i) => {
      return { ...range, series: { model: `m${i}` }, slices, closing: null }
    })
    const closing = {
      ...{ series_count: count, records: 1, dead_letters: 0, on_behalf: false },
      ...{ watermark: NOON_MS, event_watermark: NOON_MS, complete_ms: NOON_MS },
      source_partitions: 3,
    }
    values.push({ ...range, series: null, slices: [], closing })
    const records = values.map((value, i) => {
      return {
        offset: offset + i,
        appendMs: NOON_MS + afterMs,
        value: sliceRecordOf(value),
        bad: null,
      }
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
      if (second <= 14) statistics.change(0, second * 1000)
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

  it('shows at once what the last partition brings, but not more often for it', () => {
    const statistics = withSeries(1)
    const minutes = (ms: number) => tick(statistics, ms).bySize[60] ?? 0
    for (const ms of [0, 1_000]) {
      for (const source of [0, 1]) statistics.change(source, ms)
      expect(minutes(ms)).equal(1)
    }
    statistics.change(0, 1_690)
    expect(minutes(1_700), 'one is missing').equal(0)
    statistics.change(1, 1_710)
    expect(minutes(1_710)).equal(1)
    for (const source of [0, 1]) statistics.change(source, 2_490)
    expect(minutes(2_490), 'early again').equal(0)
    expect(minutes(2_500)).equal(1)
    statistics.change(0, 3_490)
    expect(minutes(4_480), 'the other one is waited for').equal(0)
    expect(minutes(4_490), 'half a second').equal(1)
    statistics.change(0, 5_490)
    expect(minutes(5_490), 'then no more').equal(1)
  })

  it('finds the last of them again after any beginning, and does without who comes seldom', () => {
    const statistics = withSeries(1)
    // In each second: the first at 600 ms, the second at 900; a third in every other second.
    const shownMs: number[] = []
    for (let ms = 0; ms < 12_000; ms += 50) {
      if (ms % 1000 === 600) statistics.change(0, ms)
      if (ms % 1000 === 900) statistics.change(1, ms)
      if (ms % 2000 === 700) statistics.change(2, ms)
      if (tick(statistics, ms).bySize[60]) shownMs.push(ms)
    }
    const late = shownMs.filter((ms) => ms > 5_000)
    expect(late).deep.equal([5_900, 6_900, 7_900, 8_900, 9_900, 10_900, 11_900])
  })

  it('takes turns with the long windows', () => {
    const budget = createLiveBudget()
    const shown = [0, 1, 2].map(() => {
      const statistics = withSeries(1, budget)
      budget.takenMs = Number.NEGATIVE_INFINITY
      const seconds: number[] = []
      for (let second = 0; second <= 10; second++) {
        statistics.change(0, second * 1000)
        if (tick(statistics, second * 1000).bySize[300]) seconds.push(second)
      }
      return seconds
    })
    expect(shown).deep.equal([
      [0, 5, 10],
      [0, 4, 9],
      [0, 3, 8],
    ])
  })

  it('shows many series less often, four thousand results a second', () => {
    const [shown] = shownIn([withSeries(5_000)])
    // In ten seconds, and a second's worth ahead.
    expect(shown).within(36_000, 49_000)
  })

  it('shares that among the partitions of a process, and wakes for the rest as before', () => {
    const budget = createLiveBudget()
    const both = [0, 1].map(() => withSeries(2_500, budget))
    const [one, other] = shownIn(both) as [number, number]
    // Unbounded it would be 72,000; the first results of all sizes come at once, from both.
    expect(one + other).within(36_000, 55_000)
    expect(Math.abs(one - other), 'nobody is left out').at.most(7_500)
    expect(tick(both[0]!, 10_000).wakesAfterMs, 'a commit may be due').at.most(1_000)
  })
})

/** Live results of each in ten seconds in which all of its series change all the time. */
function shownIn(all: readonly ReturnType<typeof withSeries>[]): readonly number[] {
  const shown = all.map(() => 0)
  for (let ms = 0; ms < 10_000; ms += 100) {
    for (const [i, each] of all.entries()) {
      if (ms % 500 === 0) each.change(0, ms)
      for (const results of Object.values(tick(each, ms).bySize)) shown[i]! += results
    }
  }
  return shown
}
