import { expect } from 'chai'
import { seriesOf } from '../../../services/core/windows/series.ts'
import type { SliceRecord } from '../../../services/core/windows/slice-record.ts'
import { createMerger } from '../../../services/statistics/merger.ts'

function series(from: number, to: number, name: string, partition = 0): SliceRecord {
  const source = { source_topic: 'raw', source_partition: partition, from, to }
  const slices = new Uint8Array(1)
  return { ...source, series: seriesOf({ model: name }), firstMs: 0, slices, closing: null }
}

function closing(from: number, to: number, count: number, partition = 0): SliceRecord {
  const counts = { series_count: count, records: to - from, dead_letters: 0 }
  const times = { watermark: 0, event_watermark: 0, complete_ms: 0 }
  const made = { ...counts, ...times, source_partitions: 1, on_behalf: false }
  return { ...series(from, to, '', partition), series: null, closing: made }
}

/** Feeds records from offset `first` on; the ranges that came out, and what was counted. */
function feed(records: readonly SliceRecord[], first = 0, live = 0) {
  const counts: Record<string, number> = {}
  const count = (name: string, times: number) => {
    counts[name] = (counts[name] ?? 0) + times
  }
  const merger = createMerger({ count }, (offset) => offset < live)
  const ranges = records.flatMap((record, i) => {
    const range = merger.add(first + i, record)
    return range ? [range] : []
  })
  const names = ranges.map((range) =>
    range.records.map((record) => record.series!.labels.model).join(),
  )
  return { merger, ranges, names, counts }
}

describe('statistics/merger', () => {
  it('lets a range through when its closing record has come, once', () => {
    const range = [series(0, 5, 'a'), series(0, 5, 'b'), closing(0, 5, 2)]
    expect(feed(range.slice(0, 2)).names).deep.equal([])
    const { names, counts } = feed([...range, ...range])
    expect(names).deep.equal(['a,b'])
    expect(counts).deep.equal({ range: 1, duplicate_record: 2, duplicate_range: 1 })
  })

  it('takes a range whose beginning a dead member had already written', () => {
    const again = [series(0, 5, 'a'), series(0, 5, 'b'), closing(0, 5, 2)]
    expect(feed([series(0, 5, 'a'), ...again]).names).deep.equal(['a,b'])
  })

  it('takes two interleaved copies of a range as one', () => {
    const [a, b, end] = [series(0, 5, 'a'), series(0, 5, 'b'), closing(0, 5, 2)]
    expect(feed([a, a, b, end, b, end]).names).deep.equal(['a,b'])
  })

  it('keeps the ranges of different partitions apart', () => {
    const { names } = feed([series(0, 5, 'a', 0), series(0, 9, 'b', 1), closing(0, 9, 1, 1)])
    expect(names).deep.equal(['b'])
  })

  it('takes a gap, counts it, and goes on', () => {
    const { names, counts } = feed([closing(0, 5, 0), series(7, 9, 'a'), closing(7, 9, 1)])
    expect(names).deep.equal(['', 'a'])
    expect(counts.gap_range).equal(1)
  })

  it('drops an overlap, counts it, and goes on behind it', () => {
    const overlap = [series(3, 8, 'a'), closing(3, 8, 1)]
    const { names, counts } = feed([closing(0, 5, 0), ...overlap, closing(8, 9, 0)])
    expect(names).deep.equal(['', ''])
    expect(counts).deep.equal({ range: 2, duplicate_record: 1, overlap_range: 1, gap_range: 1 })
  })

  it('refuses a range that lacks a record', () => {
    const { names, counts } = feed([series(0, 5, 'a'), closing(0, 5, 2)])
    expect(names).deep.equal([])
    expect(counts).deep.equal({ incomplete_range: 1 })
  })

  it('takes the first range of a replay although its beginning is cut off', () => {
    const { names, counts } = feed([series(0, 5, 'b'), closing(0, 5, 2)], 10, 20)
    expect(names).deep.equal(['b'])
    expect(counts).deep.equal({ range: 1 })
  })

  it('takes what it needs of a replay that begins with the repeat of an old range', () => {
    // Ranges 20-50 were merged before the replay begins; of 40-50 only the end is read again.
    const log = [closing(10, 20, 1), series(40, 50, 'b'), closing(40, 50, 2), closing(50, 50, 0)]
    const { ranges } = feed(log, 10, 20)
    expect(ranges.map(({ closing: { records } }) => records)).deep.equal([10, 10, 0])
  })

  it('takes the report of an idle partition, but not one from behind', () => {
    expect(feed([closing(0, 5, 0), closing(5, 5, 0)]).ranges.length).equal(2)
    expect(feed([closing(0, 5, 0), closing(3, 3, 0)]).ranges.length).equal(1)
    const ahead = feed([closing(0, 5, 0), closing(9, 9, 0)])
    expect([ahead.ranges.length, ahead.counts.gap_range]).deep.equal([2, 1])
  })

  it('rewinds to the oldest record held and to the oldest last closing record', () => {
    const records = [closing(0, 5, 0, 0), closing(0, 5, 0, 1), series(5, 9, 'a', 1)]
    expect(feed(records, 100).merger.rewindOffset()).equal(100)
    const later = [...records, closing(5, 9, 1, 1), closing(5, 6, 0, 0), series(6, 7, 'b', 0)]
    expect(feed(later, 100).merger.rewindOffset()).equal(103)
    expect(feed([], 100).merger.rewindOffset()).equal(Number.POSITIVE_INFINITY)
  })

  // Windowing began anew and does not know how far the clock had closed its idle partition.
  it('reads again from the closing record that said most, not from the last one', () => {
    const at = (watermark: number, complete_ms: number): SliceRecord => {
      const record = closing(5, 5, 0)
      return { ...record, closing: { ...record.closing!, watermark, complete_ms } }
    }
    const offsets = (...records: SliceRecord[]) => feed(records, 10).merger.rewindOffset()
    expect(offsets(at(5, 5), at(9, 9), at(3, 9), at(9, -1))).equal(11)
    expect(offsets(at(9, 9), at(3, -1), at(9, 9))).equal(12)
  })

  it('reads again also from what was said on behalf of a source, until that has said no less', () => {
    const at = (watermark: number, on_behalf: boolean): SliceRecord => {
      const record = closing(5, 5, 0)
      return { ...record, closing: { ...record.closing!, watermark, on_behalf } }
    }
    const offsets = (...records: SliceRecord[]) => feed(records, 10).merger.rewindOffset()
    expect(offsets(at(5, false), at(50, true), at(9, false), at(70, true), at(20, false))).equal(13)
    expect(offsets(at(5, false), at(50, true), at(50, false))).equal(12)
    expect(offsets(at(50, true), at(60, false), at(40, true), at(60, false))).equal(13)
  })

  // A member died in the middle of a range; the next one reports before it does it again.
  it('does not take an idle report for the end of the range that begins there', () => {
    const torn = [closing(0, 5, 0), series(5, 9, 'a')]
    const again = [series(5, 9, 'a'), series(5, 9, 'b'), closing(5, 9, 2)]
    for (const live of [0, 99]) {
      const { names, counts } = feed([...torn, closing(5, 5, 0), ...again], 0, live)
      expect(names).deep.equal(['', '', 'a,b'])
      expect(counts).deep.equal({ range: 2 })
    }
  })
})
