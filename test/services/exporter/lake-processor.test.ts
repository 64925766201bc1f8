import { expect } from 'chai'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { createLakeBudget } from '../../../services/exporter/lake-budget.ts'
import { createLakeProcessor, IDLE_MARGIN_MS } from '../../../services/exporter/lake-processor.ts'
import { T0_MS } from '../formats/records.ts'
import {
  assignment,
  brief,
  broken,
  ended,
  give,
  ownerAfter,
  partsOf,
  processorOf,
  running,
  whole,
} from './lake-log.ts'

const NOTHING = { files: [], commit: null }
const DUE_MS = T0_MS + 60_000 + IDLE_MARGIN_MS
const HOUR_US = 3_600_000_000

describe('exporter/lake-processor', () => {
  it('starts where the last owner committed, else at the oldest record', () => {
    expect(processorOf().startOffset).to.equal(null)
    expect(processorOf({}, 17).startOffset).to.equal(17)
  })

  it('cuts before the first record of a later roll interval', () => {
    const plan = give(processorOf(), [ended(5, 0), ended(6, 59_999), ended(7, 60_000)])
    expect(brief(plan)).to.deep.equal({ files: ['[5,7) 10h: 5 6'], commit: 7 })
    expect(plan.commit).to.deep.equal({ offset: 7, metadata: '' })
    expect(plan.outputs).to.deep.equal([])
  })

  it('does not cut at a record whose append time fell back', () => {
    const plan = give(processorOf(), [ended(0, 60_000), ended(1, 0), ended(2, 119_999)])
    expect(brief(plan)).to.deep.equal(NOTHING)
  })

  it('cuts after the record that brings the last row of a file', () => {
    const processor = processorOf({ rowsMax: 2 })
    const plan = give(processor, [ended(0, 0), running(1, 0), ended(2, 0), ended(3, 0)])
    expect(brief(plan)).to.deep.equal({ files: ['[0,2) 10h: 0', '[2,4) 10h: 2 3'], commit: 4 })
    expect(plan.effects.map(({ cut }) => cut.rule)).to.deep.equal(['rows', 'rows'])
  })

  it('cuts after the record that brings the bytes', () => {
    const large = { request_id: 'r'.repeat(2 ** 20) }
    const log = Array.from({ length: 7 }, (_, i) => ended(i, 0, large))
    const processor = processorOf({ bytesMax: 5 * 2 ** 20 })
    // Each is a row of two datasets.
    const [range] = give(processor, log).effects
    expect(range!.cut).to.deep.equal({ rule: 'bytes', anew: true })
    expect(range!.range).to.deep.include({ from: 0, to: 3 })
  })

  it('cuts where all partitions of the process hold too much, if it holds as much as others', () => {
    const budget = createLakeBudget(6 * 2 ** 20)
    const large = { request_id: 'r'.repeat(2 ** 20) }
    const [small, big] = [budget.partition('small'), ownerAfter(null, {}, budget)]
    small.take(2 ** 20)
    const [range] = give(big, [ended(0, 0, large), ended(1, 0, large), ended(2, 0)]).effects
    expect(range).to.equal(undefined)
    small.take(2 ** 20)
    const plan = give(big, [ended(3, 0)])
    expect(plan.effects.map(({ cut, range }) => [cut.rule, range.to])).to.deep.equal([
      ['memory', 4],
    ])
    // What is written is held until the processor is asked again.
    expect(small.isShort(2 * 2 ** 20)).to.equal(false)
    big.onTick({ brokerMs: T0_MS, caughtUp: true })
    small.take(5 * 2 ** 20)
    expect(small.isShort(7 * 2 ** 20)).to.equal(true)
    budget.reset()
    small.take(2 ** 30)
    expect(small.isShort(2 ** 30)).to.equal(false)
  })

  it('makes no range of one record behind one that the memory has ended', () => {
    const log = Array.from({ length: 400 }, (_, i) => ended(i, 0))
    const processor = ownerAfter(null, {}, createLakeBudget(20_000))
    const sizes = give(processor, log).effects.map(({ range }) => range.to - range.from)
    expect(sizes.length).to.be.above(3)
    expect(Math.min(...sizes)).to.be.above(10)
  })

  it('gives up what it holds when others need the memory, also if nothing comes any more', () => {
    const budget = createLakeBudget(8 * 2 ** 20)
    const large = { request_id: 'r'.repeat(2 ** 20) }
    const idle = ownerAfter(null, {}, budget)
    // Its next look is a second away, not the end of its interval.
    const held = give(idle, [ended(0, 0, large), ended(1, 0, large)])
    expect(held.wakeMs).to.equal(T0_MS + 1000)
    const others = [1, 2, 3].map((i) => budget.partition(`other ${i}`))
    for (const other of others) other.take(1.5 * 2 ** 20)
    const [range] = whole(idle.onTick({ brokerMs: T0_MS + 1000, caughtUp: true })).effects
    expect(range).to.deep.include({ cut: { rule: 'memory', anew: true } })
  })

  it('cuts after the record that brings the 256th file', () => {
    const at = (i: number) => ({ started_at: T0_MS * 1000 - i * HOUR_US })
    const log = Array.from({ length: 300 }, (_, i) => ended(i, 0, at(i)))
    const processor = processorOf()
    const ranges = [...give(processor, log).effects, ...whole(processor.onDrain()).effects]
    // Each record is a row of two datasets.
    expect(ranges.map(({ cut, files }) => [cut.rule, files.length])).to.deep.equal([
      ['files', 256],
      ['files', 256],
      ['drain', 88],
    ])
  })

  it('plans every cut of a batch, in order, and commits the last', () => {
    const log = [ended(0, 0), ended(1, 60_000), ended(2, 120_000), ended(3, 120_000)]
    expect(brief(give(processorOf({ rowsMax: 2 }), log))).to.deep.equal({
      files: ['[0,1) 10h: 0', '[1,2) 10h: 1', '[2,4) 10h: 2 3'],
      commit: 4,
    })
  })

  it('counts records that are no requests into the range, and bad ones', () => {
    const processor = processorOf()
    const plan = give(processor, [running(0, 0), broken(1, 10), running(2, 60_000)])
    expect(brief(plan)).to.deep.equal({ files: [], commit: 2 })
    expect(processor.stats).to.deep.include({ records: 3, bad: 1, rows: 2, ranges: 1, files: 1 })
    expect(plan.effects[0]!.counts).to.deep.equal({ records: 2, bad: 1, refused: 0 })
  })

  it('notices the end of an idle interval by the clock, when caught up and past the margin', () => {
    const processor = processorOf()
    expect(give(processor, [ended(0, 10_000)]).wakeMs).to.equal(T0_MS + 11_000)
    const early = processor.onTick({ brokerMs: DUE_MS - 1, caughtUp: true })
    expect({ ...brief(early), wakeMs: early.wakeMs > DUE_MS - 1 }).to.deep.equal({
      ...NOTHING,
      wakeMs: true,
    })
    const behind = processor.onTick({ brokerMs: DUE_MS, caughtUp: false })
    expect(brief(behind)).to.deep.equal(NOTHING)
    expect(behind.wakeMs).to.be.within(DUE_MS + 1, DUE_MS + 5000)
    const plan = processor.onTick({ brokerMs: DUE_MS, caughtUp: true })
    expect(brief(plan)).to.deep.equal({ files: ['[0,1) 10h: 0'], commit: 1 })
    expect(plan.wakeMs).to.equal(Number.POSITIVE_INFINITY)
    expect(brief(processor.onTick({ brokerMs: DUE_MS, caughtUp: true }))).to.deep.equal(NOTHING)
  })

  it('writes what it holds when it is drained, and nothing when it holds nothing', () => {
    const processor = processorOf()
    expect(brief(processor.onDrain())).to.deep.equal(NOTHING)
    give(processor, [ended(0, 0), running(1, 0)])
    expect(brief(processor.onDrain())).to.deep.equal({ files: ['[0,2) 10h: 0'], commit: 2 })
  })

  it('commits where a range ends before its files are put, and the end after them', () => {
    const log = [ended(0, 0), ended(1, 60_000), ended(2, 120_000)]
    const parts = [
      ...partsOf(processorOf().onBatch({ topic: TOKEN_EVENTS, partition: 0, records: log })),
    ]
    expect(
      parts.map(({ effects, commit }) => ({ puts: effects.map(({ range }) => range.to), commit })),
    ).to.deep.equal([
      { puts: [], commit: { offset: 0, metadata: '{"end":1,"cut":{"rule":"time","anew":true}}' } },
      {
        puts: [1],
        commit: { offset: 1, metadata: '{"end":2,"cut":{"rule":"time","anew":false}}' },
      },
      { puts: [2], commit: { offset: 2, metadata: '' } },
    ])
  })

  it('ends a range where the last owner planned it, whatever rows, time or a drain say', () => {
    const planned = { offset: 0, metadata: '{"end":3}' }
    const options = { rollMs: 60_000, rowsMax: 2 }
    const processor = ownerAfter(planned, options)
    expect(brief(give(processor, [ended(0, 0), ended(1, 60_000)]))).to.deep.equal(NOTHING)
    expect(brief(processor.onTick({ brokerMs: DUE_MS * 2, caughtUp: true }))).to.deep.equal(NOTHING)
    expect(brief(processor.onDrain())).to.deep.equal(NOTHING)
    const log = [ended(2, 60_000), ended(3, 60_000)]
    expect(brief(give(processor, log))).to.deep.equal({ files: ['[0,3) 10h: 0 1 2'], commit: 3 })
    expect(brief(processor.onDrain())).to.deep.equal({ files: ['[3,4) 10h: 3'], commit: 4 })
  })

  it('leaves the file of a planned range alone that retention took meanwhile', () => {
    const planned = { offset: 0, metadata: '{"end":3}' }
    const processor = ownerAfter(planned, { rollMs: 60_000, rowsMax: 9 })
    give(processor, [ended(7, 0)])
    expect(brief(processor.onDrain())).to.deep.equal({ files: ['[3,8) 10h: 7'], commit: 8 })
  })

  it('puts a late row into its own hour, in a file beside the others', () => {
    const late = { started_at: T0_MS * 1000 - 2 * HOUR_US }
    const log = [ended(0, 0), ended(1, 0, late), ended(2, 0), ended(3, 60_000)]
    expect(brief(give(processorOf(), log)).files).to.deep.equal(['[0,3) 10h: 0 2', '[0,3) 08h: 1'])
  })

  it('lets ranges tile the log, offsets that hold no record included', () => {
    const processor = processorOf({}, 10)
    const plan = give(processor, [ended(12, 0), ended(20, 60_000), ended(21, 120_000)])
    expect(brief(plan).files).to.deep.equal(['[10,13) 10h: 12', '[13,21) 10h: 20'])
  })

  it('counts a record that no file can hold, and goes on', () => {
    const processor = processorOf()
    const far = { started_at: 2 ** 53 - 1 }
    const before1970 = { started_at: -HOUR_US }
    const log = [ended(0, 0, far), ended(1, 0, before1970), ended(2, 0), ended(3, 60_000)]
    expect(brief(give(processor, log))).to.deep.equal({ files: ['[0,3) 10h: 2'], commit: 3 })
    expect(processor.stats).to.deep.include({ records: 4, rows: 5, refused: 3 })
    expect(processor.stats.lastRefusal).to.equal('offset 1: no event time')
  })

  it('refuses a topic that no dataset is made from, and an offset that it has had', () => {
    const other = { ...assignment(), topic: 'lens.window-slices' }
    const options = { rollMs: 1000, rowsMax: 1, bytesMax: 1 }
    expect(() => createLakeProcessor(other, options, createLakeBudget(1))).to.throw(
      /no dataset is made from lens\.window/,
    )
    expect(() => give(processorOf({}, 5), [ended(4, 0)])).to.throw(/offset 4 was given again/)
  })
})
