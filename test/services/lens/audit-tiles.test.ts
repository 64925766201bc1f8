import { expect } from 'chai'
import { auditMade, closing, fleet, range } from './audit-log.ts'

const RAW = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
const GOOD = [...range(0, 4), ...range(4, 7), ...range(7, 10)]

describe('lens/audit-tiles', () => {
  it('has nothing to say of ranges that tile the offsets', () => {
    const { said, totals } = auditMade({ slices: GOOD, raw: RAW })
    expect(said).deep.equal([])
    expect(totals).include({ ranges: 3, raw: 10, counted: 10, dead: 0, slicedRequests: 10 })
  })

  it('takes offsets without a record for no gap', () => {
    const raw = [0, 1, 2, 5, 6, 8]
    const slices = [...range(0, 3), ...range(5, 7), ...range(8, 9)]
    expect(auditMade({ slices, raw }).said).deep.equal([])
    const within = [fleet(0, 0, 9, 6), ...[0, 1].map((q) => closing(q, 0, 9, { records: 6 }))]
    expect(auditMade({ slices: within, raw }).said).deep.equal([])
  })

  it('drops repeats that are the same, whole or in part', () => {
    const [slice] = range(4, 7)
    const slices = [...range(0, 4), slice!, ...range(4, 7), ...range(0, 4), ...range(7, 10)]
    const { said, repeats } = auditMade({ slices, raw: RAW })
    expect(said).deep.equal([])
    expect(repeats).equal(4)
  })

  it('names a repeat that is not the same, before and after its range was closed', () => {
    const other = fleet(0, 4, 7, 2)
    const before = [...range(0, 4), other, ...range(4, 7), ...range(7, 10)]
    const after = [...range(0, 4), ...range(4, 7), other, ...range(7, 10)]
    const expected = 'repeat: [4, 7) of series {} came again in slices-0, and not the same'
    expect(auditMade({ slices: before, raw: RAW }).said).deep.equal([expected])
    expect(auditMade({ slices: after, raw: RAW }).said).deep.equal([expected])
    const otherwise = [...GOOD, closing(0, 4, 6)]
    expect(auditMade({ slices: otherwise, raw: RAW }).said).deep.equal([
      'repeat: [4, 6) in slices-0 was cut otherwise',
    ])
  })

  it('names a gap that all partitions of the slices have', () => {
    const slices = [...range(0, 4), ...range(7, 10)]
    expect(auditMade({ slices, raw: RAW }).said).deep.equal([
      'gap: 3 raw records in [4, 7) are in no range',
    ])
    const short = [...range(0, 4), ...range(4, 7)]
    expect(auditMade({ slices: short, raw: RAW }).said).deep.equal([
      'gap: 3 raw records in [7, 10) are in no range',
    ])
  })

  it('names the partition of the slices that alone lacks a range, wherever it lies', () => {
    for (const from of [0, 4, 7]) {
      const slices = GOOD.filter(({ q, record }) => q === 0 || record.from !== from)
      const { said } = auditMade({ slices, raw: RAW })
      expect(said).length(1)
      expect(said[0]).match(
        new RegExp(`^gap: slices-1 has nothing of \\[${from}, \\d+\\), other partitions have$`),
      )
    }
    const none = GOOD.filter(({ q }) => q === 0)
    expect(auditMade({ slices: none, raw: RAW }).said[0]).contain('slices-1 has nothing of [0, 10)')
  })

  it('names an overlap', () => {
    const slices = [...range(0, 4), ...range(4, 7), closing(1, 5, 9), ...range(7, 10)]
    expect(auditMade({ slices, raw: RAW }).said).deep.equal([
      'overlap: [5, 9) in slices-1 overlaps what ended at 7',
    ])
  })

  it('names a range that lacks a record, or has one too many', () => {
    const lost = GOOD.filter(({ record }) => record.from !== 7 || record.closing)
    expect(auditMade({ slices: lost, raw: RAW }).said[0]).equal(
      'incomplete: [7, 10) in slices-0 has 0 of 1 records',
    )
    const added = [...range(0, 4), ...range(4, 7), fleet(1, 7, 10), ...range(7, 10)]
    expect(auditMade({ slices: added, raw: RAW }).said[0]).equal(
      'incomplete: [7, 10) in slices-1 has 1 of 0 records',
    )
  })

  it('names closing records that disagree, and figures that are not the topic’s', () => {
    const slices = [...GOOD.slice(0, -1), closing(1, 7, 10, { records: 4 })]
    expect(auditMade({ slices, raw: RAW }).said).deep.equal([
      'closing: slices-1 says [7, 10): 4 records, 0 dead; it was [7, 10): 3 records, 0 dead',
    ])
    expect(auditMade({ slices: GOOD, raw: RAW.filter((offset) => offset !== 5) }).said[0]).equal(
      'records: [4, 7) counts 3 records, the topic has 2',
    )
  })

  it('names requests and chunks that are not those of the raw records', () => {
    const slices = [...range(0, 4), ...range(4, 7), fleet(0, 7, 10, 2), closing(0, 7, 10)]
    expect(auditMade({ slices: [...slices, closing(1, 7, 10)], raw: RAW }).said).deep.equal([
      'counted: [7, 10): 3 requests in the raw records, 2 in the slices of grouping []',
      'counted: [7, 10): 6 chunks in the raw records, 4 in the slices of grouping []',
      'counted: [7, 10): 6 gaps in the raw records, 4 in the slices of grouping []',
      'counted: [7, 10): 6 output_tokens in the raw records, 4 in the slices of grouping []',
    ])
  })

  it('names a grouping that a range lacks, and a range that lacks all', () => {
    const of = (from: number, to: number, withModel: boolean) => {
      const { q, record } = fleet(0, from, to)
      const model = { q, record: { ...record, series: { model: 'm' } } }
      const count = { series_count: withModel ? 2 : 1 }
      const own = [...(withModel ? [model] : []), fleet(0, from, to), closing(0, from, to, count)]
      return [...own, closing(1, from, to)]
    }
    const slices = [...of(0, 4, true), ...of(4, 7, false), ...of(7, 10, true)]
    expect(auditMade({ slices, raw: RAW }).said[0]).equal(
      'counted: [4, 7): 3 requests in the raw records, 0 in the slices of grouping [model]',
    )
    const changed = [...of(0, 4, true), ...of(4, 7, false), ...of(7, 10, false)]
    expect(auditMade({ slices: changed, raw: RAW }).said, 'groupings may change').deep.equal([])
    const none = [0, 1].map((q) => closing(q, 7, 10, { series_count: 0 }))
    const lost = [...range(0, 4), ...range(4, 7), ...none]
    expect(auditMade({ slices: lost, raw: RAW }).said).deep.equal([
      'counted: [7, 10) has no slices at all',
    ])
  })

  it('wants each dead letter once in its topic and once in its range', () => {
    const dead = [0, 1].map((q) => closing(q, 4, 7, { dead_letters: 1 }))
    const slices = [...range(0, 4), fleet(0, 4, 7, 2), ...dead, ...range(7, 10)]
    const bad = [5]
    const good = auditMade({ slices, raw: RAW, bad, letters: [5] })
    expect(good.said).deep.equal([])
    expect(good.totals).include({ raw: 10, counted: 9, dead: 1 })
    const notWritten = auditMade({ slices, raw: RAW, bad })
    expect(notWritten.said).deep.equal([
      'dead_letters: the record at 5 cannot be decoded and is not in lens.dead-letters',
      'dead_letters: [4, 7) counts 1 dead letters, lens.dead-letters has 0',
    ])
    expect(auditMade({ slices, raw: RAW, bad, letters: [5, 6] }).said[0]).equal(
      'dead_letters: [4, 7) counts 1 dead letters, lens.dead-letters has 2',
    )
    const raw = RAW.filter((offset) => offset !== 2)
    const lost = [fleet(0, 0, 4, 3), ...[0, 1].map((q) => closing(q, 0, 4, { records: 3 }))]
    const rest = [...range(4, 7), ...range(7, 10)]
    expect(auditMade({ slices: [...lost, ...rest], raw, letters: [2] }).said).deep.equal([
      'dead_letters: 1 dead letters of records that are not there',
    ])
  })

  it('begins after what the slices have lost, and after a range that the topic has half lost', () => {
    const lost = GOOD.slice(1)
    const cut = auditMade({ slices: lost, raw: RAW, isTruncated: true })
    expect(cut.said).deep.equal([])
    expect(cut.totals).include({ ranges: 2, raw: 6 })
    expect(auditMade({ slices: lost, raw: RAW }).said[0]).match(/^incomplete: \[0, 4\)/)
    const half = auditMade({ slices: GOOD, raw: RAW.slice(2) })
    expect(half.said).deep.equal([])
    expect(half.totals).include({ ranges: 2, raw: 6 })
  })

  it('heeds no idle report from behind', () => {
    const idle = { series_count: 0, records: 0 }
    const slices = [...GOOD, closing(0, 4, 4, idle), closing(0, 10, 10, idle)]
    expect(auditMade({ slices, raw: RAW }).said).deep.equal([])
  })
})
