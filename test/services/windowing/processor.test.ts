import { expect } from 'chai'
import type { ResourceSample, WindowSlice } from '../../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS, TOPICS } from '../../../schemas/topics.ts'
import type { Decoded, Output, Plan, Processor } from '../../../services/core/processor.ts'
import { DEFAULT_GROUPINGS } from '../../../services/core/windows/series.ts'
import { createFoldShared } from '../../../services/windowing/fold.ts'
import { createWindowing } from '../../../services/windowing/processor.ts'
import { NOON_MS, NOON_US, resourceSample, wholeRequest } from '../../records.ts'
import { tokenRun } from '../core/windows/runs.ts'

const POLICY = {
  groupings: DEFAULT_GROUPINGS,
  seriesMax: 100,
  recordsMax: 5,
  disorderMs: 5_000,
  futureMs: 60_000,
  idleAfterMs: 10_000,
  cutMarginMs: 2_000,
}
const partitions = Object.fromEntries(TOPICS.map(({ name }) => [name, 2]))
const PARTS = {
  counts: { folded: () => {}, watermarkDelay: () => {} },
  shared: createFoldShared(DEFAULT_GROUPINGS),
  encode: structuredClone<object>,
}

function start(
  committed: { offset: number; metadata: string } | null = null,
  topic: string = RESOURCE_SAMPLES,
): Processor {
  const at = { topic, partition: 1, committed, firstOffset: 0 }
  const processor = createWindowing({ ...at, changelog: [], partitions }, POLICY, PARTS)
  processor.onTick({ brokerMs: Number.NEGATIVE_INFINITY, caughtUp: true })
  return processor
}

/** Records appended at the given milliseconds after noon, with event times a second before. */
function records(first: number, ...appendMs: number[]): Decoded[] {
  return appendMs.map((ms, i) => ({
    offset: first + i,
    appendMs: NOON_MS + ms,
    value: resourceSample({ at: NOON_US + (ms - 1000) * 1000 }) satisfies ResourceSample,
    bad: null,
  }))
}

function batch(processor: Processor, list: readonly Decoded[]): Plan {
  return processor.onBatch({ topic: RESOURCE_SAMPLES, partition: 1, records: list })
}

/** The ranges that a plan closes, as from-to, by the closing records of partition 0. */
function ranges({ outputs }: Plan): string[] {
  return closings(outputs).map(({ from, to }) => `${from}-${to}`)
}

function closings(outputs: readonly Output[]): WindowSlice[] {
  const values = outputs.filter(({ partition }) => partition === 0).map(({ value }) => value)
  return (values as WindowSlice[]).filter(({ closing }) => closing !== null)
}

describe('windowing/processor', () => {
  it('cuts before the first record of a later append second, and commits only cuts', () => {
    const plan = batch(start(), records(0, 100, 900, 1100, 1200, 2500))
    expect(ranges(plan)).deep.equal(['0-2', '2-4'])
    expect(plan.commit?.offset).equal(4)
  })

  it('does not cut where an append time falls back', () => {
    expect(ranges(batch(start(), records(0, 1900, 900, 950)))).deep.equal([])
  })

  it('cuts after recordsMax records', () => {
    expect(ranges(batch(start(), records(0, 1, 2, 3, 4, 5, 6, 7)))).deep.equal(['0-5'])
  })

  it('cuts after four million chunks, whatever they are spread over', () => {
    const gaps_us = Array.from({ length: 1_500_000 }, () => 0)
    const value = tokenRun(wholeRequest({ gaps_us }))
    const runs = [0, 1, 2, 3].map((offset) => ({ offset, appendMs: NOON_MS, value, bad: null }))
    expect(ranges(batch(start(null, TOKEN_EVENTS), runs))).deep.equal(['0-3'])
  })

  it('cuts at the same places however the log is split into batches', () => {
    const log = records(0, 1, 2, 900, 1100, 1200, 1300, 1400, 1500, 1600, 2100, 4000)
    const whole = ranges(batch(start(), log))
    for (let size = 1; size < log.length; size++) {
      const processor = start()
      const found: string[] = []
      for (let at = 0; at < log.length; at += size) {
        found.push(...ranges(batch(processor, log.slice(at, at + size))))
      }
      expect(found, `batches of ${size}`).deep.equal(whole)
    }
  })

  it('repeats a range byte for byte from the committed offset', () => {
    const log = records(0, 100, 900, 1100, 1200, 2500, 2600, 3700)
    const first = start()
    const once = batch(first, log)
    const commit = batch(start(), log.slice(0, 5)).commit!
    const again = batch(start(commit), log.slice(commit.offset))
    const tail = once.outputs.slice(once.outputs.length - again.outputs.length)
    expect(again.outputs).deep.equal(tail)
  })

  it('notices a cut at the end of the log only when the second is past by the margin', () => {
    const processor = start()
    batch(processor, records(0, 100, 900))
    const tick = (ms: number, caughtUp: boolean) =>
      ranges(processor.onTick({ brokerMs: NOON_MS + ms, caughtUp }))
    expect(tick(2_900, true)).deep.equal([])
    expect(tick(3_100, false)).deep.equal([])
    expect(tick(3_100, true)).deep.equal(['0-2'])
  })

  it('carries a watermark that lies behind the latest event and never falls', () => {
    const plan = batch(start(), records(0, 50_000, 10_000, 60_000, 61_000))
    const watermarks = closings(plan.outputs).map(({ closing }) => closing!.watermark)
    expect(watermarks).deep.equal([NOON_MS + 44_000, NOON_MS + 54_000])
  })

  // A transactional producer leaves control records, which are offsets without a record.
  it('leaves no gap between ranges where offsets are no records', () => {
    const [first, second, third] = records(0, 0, 1_000, 2_000)
    const plan = batch(start(), [first!, { ...second!, offset: 2 }, { ...third!, offset: 5 }])
    const ranges = closings(plan.outputs).map(({ from, to }) => [from, to])
    expect(ranges).deep.equal([
      [0, 1],
      [1, 3],
    ])
  })

  it('follows the clock when it has been idle, in steps of a slice', () => {
    const processor = start()
    batch(processor, records(0, 100))
    processor.onTick({ brokerMs: NOON_MS + 3_500, caughtUp: true })
    const tick = (ms: number) => processor.onTick({ brokerMs: NOON_MS + ms, caughtUp: true })
    expect(tick(9_000).outputs).deep.equal([])
    const plan = tick(15_100)
    const [report] = closings(plan.outputs)
    expect([report!.from, report!.to]).deep.equal([1, 1])
    expect(report!.closing!.watermark).equal(NOON_MS + 10_100)
    expect(plan.commit).deep.equal({
      offset: 1,
      metadata: `${NOON_MS + 10_100},${NOON_MS - 5_900}`,
    })
    expect(plan.wakeMs).equal(NOON_MS + 25_000)
  })

  it('does not follow the clock before it has caught up', () => {
    const processor = start({ offset: 7, metadata: String(NOON_MS) })
    processor.onTick({ brokerMs: NOON_MS + 100_000, caughtUp: false })
    const plan = processor.onTick({ brokerMs: NOON_MS + 200_000, caughtUp: false })
    expect(plan.outputs).deep.equal([])
  })

  it('counts bad records into the range that holds them', () => {
    const bad: Decoded = { offset: 1, appendMs: NOON_MS + 200, value: undefined, bad: 'truncated' }
    const log = [records(0, 100)[0]!, bad, ...records(2, 300, 1500)]
    const [closing] = closings(batch(start(), log).outputs)
    expect(closing!.closing).include({ records: 3, dead_letters: 1, source_partitions: 2 })
  })

  it('flushes nothing when it is drained: a cut is where the log says', () => {
    const processor = start()
    batch(processor, records(0, 100))
    expect(processor.onDrain().outputs).deep.equal([])
  })

  it('joins a sample to every grouping whose dimensions it carries, and no other', () => {
    const log = records(0, 100, 1500)
    const named = batch(start(), log).outputs.map(({ value }) => (value as WindowSlice).series)
    const series = named.filter((labels) => labels !== null)
    expect(series).deep.members([{ model: 'm-1' }, { endpoint: 'e-1' }, {}])
  })

  it('reads token events under their own topic name', () => {
    const at = { topic: TOKEN_EVENTS, partition: 0, committed: null, firstOffset: 3 }
    const processor = createWindowing({ ...at, changelog: [], partitions }, POLICY, PARTS)
    const plan = processor.onTick({ brokerMs: 0, caughtUp: true })
    expect(closings(plan.outputs)[0]).include({ source_topic: TOKEN_EVENTS, from: 3, to: 3 })
  })
})
