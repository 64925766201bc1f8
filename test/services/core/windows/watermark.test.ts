import { expect } from 'chai'
import fc from 'fast-check'
import {
  advanceWatermark,
  createLateness,
  createWatermarks,
  NO_WATERMARK,
  reportLateness,
  reportWatermark,
  type WatermarkReport,
} from '../../../../services/core/windows/watermark.ts'

const UNKNOWN = Number.NEGATIVE_INFINITY
const TOPICS = ['a', 'b'] as const

/** Topic, partition, partitions, watermark; event watermark unless the same; read up to. */
type Report = readonly [string, number, number, number, number?, number?]

/** Takes reports; gives what closes windows and what makes data late after each. */
function reader(expected: readonly string[], lateness = createLateness()) {
  const watermarks = createWatermarks(expected)
  return (report: WatermarkReport) => {
    reportWatermark(watermarks, report)
    reportLateness(lateness, report, watermarks)
    return { closed: watermarks.closed, late: lateness.late }
  }
}

/** Both merged watermarks after each report. */
function states(expected: readonly string[], reports: readonly Report[]) {
  const read = reader(expected)
  return reports.map(([topic, partition, partitions, watermark, event, completeMs = 0]) => {
    const eventWatermark = event ?? watermark
    const times = { watermark, eventWatermark, completeMs }
    return read({ topic, partition, partitions, ...times, onBehalf: false })
  })
}

/** The watermark that closes windows, after each report. */
function merged(expected: readonly string[], ...reports: readonly Report[]): number[] {
  return states(expected, reports).map(({ closed }) => closed)
}

/** The watermark that makes data too late, after each report. */
function late(...reports: readonly Report[]): number[] {
  return states(['a'], reports).map((state) => state.late)
}

describe('core/windows/watermark: closing', () => {
  it('of one partition never falls', () => {
    expect(advanceWatermark(10, 20)).to.equal(20)
    expect(advanceWatermark(20, 10)).to.equal(20)
    expect(advanceWatermark(NO_WATERMARK, 0)).to.equal(0)
  })

  it('is unknown until every partition of every expected topic has reported', () => {
    expect(
      merged(TOPICS, ['a', 0, 2, 50], ['b', 0, 1, 40], ['a', 0, 2, 60], ['a', 1, 2, 70]),
    ).to.deep.equal([UNKNOWN, UNKNOWN, UNKNOWN, 40])
  })

  it('is the minimum over all partitions of all expected topics', () => {
    expect(
      merged(
        TOPICS,
        ['a', 0, 2, 50],
        ['a', 1, 2, 70],
        ['b', 0, 1, 60],
        ['a', 0, 2, 80],
        ['b', 0, 1, 90],
      ),
    ).to.deep.equal([UNKNOWN, UNKNOWN, 50, 60, 70])
  })

  it('does not wait for a topic that is not expected, nor look at it', () => {
    expect(merged(['a'], ['b', 0, 2, 5], ['a', 0, 1, 50], ['b', 1, 2, 6])).to.deep.equal([
      UNKNOWN,
      50,
      50,
    ])
  })

  it('does not count a partition that has no watermark yet', () => {
    expect(merged(['a'], ['a', 0, 2, 50], ['a', 1, 2, NO_WATERMARK], ['a', 1, 2, 0])).to.deep.equal(
      [UNKNOWN, UNKNOWN, 0],
    )
  })

  it('keeps what a partition has reported when it comes back with less or with none', () => {
    expect(
      merged(['a'], ['a', 0, 1, 50], ['a', 0, 1, NO_WATERMARK], ['a', 0, 1, 20], ['a', 0, 1, 60]),
    ).to.deep.equal([50, 50, 50, 60])
  })

  it('holds when a topic grows until the new partitions have reported, and never falls', () => {
    expect(
      merged(
        ['a'],
        ['a', 0, 1, 50],
        ['a', 0, 3, 90],
        ['a', 1, 3, 80],
        ['a', 2, 3, 10],
        ['a', 2, 3, 70],
      ),
    ).to.deep.equal([50, 50, 50, 50, 70])
  })

  it('still waits for the new partitions when an older report does not know of them', () => {
    expect(merged(['a'], ['a', 0, 2, 50], ['a', 0, 1, 60], ['a', 1, 2, 70])).to.deep.equal([
      UNKNOWN,
      UNKNOWN,
      60,
    ])
  })
})

describe('core/windows/watermark: on behalf of a partition', () => {
  it('closes, but makes nothing whole and nothing late', () => {
    const watermarks = createWatermarks(['a'])
    const lateness = createLateness()
    const place = (partition: number) => ({ topic: 'a', partition, partitions: 2 })
    const at = (watermark: number, completeMs = 0) => {
      return { watermark, eventWatermark: watermark, completeMs, onBehalf: false }
    }
    const behalf = { ...at(90), eventWatermark: NO_WATERMARK, onBehalf: true }
    const seen = [
      { ...place(0), ...at(100) },
      { ...place(1), ...at(50) },
      { ...place(1), ...behalf },
      { ...place(1), ...at(60) },
      { ...place(1), ...at(95) },
    ].map((report) => {
      reportWatermark(watermarks, report)
      reportLateness(lateness, report, watermarks)
      return [watermarks.closed, watermarks.whole, lateness.late]
    })
    expect(seen.slice(1)).to.deep.equal([
      [50, 50, 50],
      [90, 50, 50],
      [90, 60, 60],
      [95, 95, 95],
    ])
  })
})

describe('core/windows/watermark: lateness', () => {
  it('is that of closing while there are events', () => {
    expect(late(['a', 0, 2, 50], ['a', 1, 2, 40], ['a', 1, 2, 90])).to.deep.equal([UNKNOWN, 40, 50])
  })

  it('stays at the latest event anywhere while idle partitions follow the clock', () => {
    expect(
      late(['a', 0, 2, 50], ['a', 1, 2, 70, 30], ['a', 0, 2, 90, 50], ['a', 1, 2, 99, 30]),
    ).to.deep.equal([UNKNOWN, 50, 50, 50])
  })

  it('does not begin before the first event: nothing is late after a silence', () => {
    expect(
      late(['a', 0, 1, 50, NO_WATERMARK], ['a', 0, 1, 90, NO_WATERMARK], ['a', 0, 1, 90, 20]),
    ).to.deep.equal([UNKNOWN, UNKNOWN, 20])
  })

  it('does not go ahead of closing for the events of one partition', () => {
    expect(late(['a', 0, 2, 900], ['a', 1, 2, 50], ['a', 0, 2, 950])).to.deep.equal([
      UNKNOWN,
      50,
      50,
    ])
  })

  it('never falls when a partition comes back with less', () => {
    expect(late(['a', 0, 1, 50], ['a', 0, 1, 60, 20], ['a', 0, 1, 20, NO_WATERMARK])).to.deep.equal(
      [50, 50, 50],
    )
  })
})

describe('core/windows/watermark: a reader that lags', () => {
  //  append time   0 ........ 10 s ........ 20 s
  //  partition 0   read to the end, its events far ahead
  //  partition 1   read up to 10 s only
  it('makes nothing late by events that were appended after what it has still to read', () => {
    const reports: Report[] = [
      ['a', 0, 2, 500_000, 100_000, 10_000],
      ['a', 1, 2, 500_000, 90_000, 10_000],
      ['a', 0, 2, 500_000, 400_000, 20_000],
      ['a', 1, 2, 500_000, 95_000, 15_000],
      ['a', 1, 2, 500_000, 97_000, 20_000],
    ]
    expect(late(...reports)).to.deep.equal([UNKNOWN, 100_000, 100_000, 100_000, 400_000])
  })

  it('goes on from what an earlier owner had reached', () => {
    const read = reader(['a'], { ...createLateness(), late: 70_000 })
    const report = { topic: 'a', partition: 0, partitions: 1, completeMs: 0, onBehalf: false }
    const { late } = read({ ...report, watermark: 60_000, eventWatermark: 60_000 })
    expect(late).to.equal(70_000)
  })

  it('is not overtaken by a member that begins anew and does not say how far it has read', () => {
    const reports: Report[] = [
      ['a', 0, 2, 500_000, 100_000, 10_000],
      ['a', 1, 2, 500_000, 90_000, 10_000],
      ['a', 0, 2, 500_000, 400_000, 20_000],
      ['a', 0, 2, 500_000, 400_000, -1],
      ['a', 1, 2, 500_000, 97_000, 20_000],
    ]
    expect(late(...reports)).to.deep.equal([UNKNOWN, 100_000, 100_000, 100_000, 400_000])
  })

  it('remembers a bounded number of append times, and makes nothing late too early', () => {
    const lateness = createLateness()
    const read = reader(['a'], lateness)
    const ahead = (i: number) => ({
      watermark: 1e9,
      eventWatermark: i * 1_000,
      completeMs: i * 1e4,
    })
    const place = (partition: number) => ({ topic: 'a', partition, partitions: 2, onBehalf: false })
    read({ ...place(1), ...ahead(1) })
    for (let i = 2; i <= 200; i++) read({ ...place(0), ...ahead(i) })
    expect(lateness.ahead.size).to.be.most(64)
    expect(read({ ...place(1), ...ahead(100) }).late).to.be.most(100_000)
    expect(read({ ...place(1), ...ahead(200) }).late).to.equal(200_000)
  })
})

describe('core/windows/watermark: any reports', () => {
  it('close by the greatest minimum so far, and make late by the latest event at most', () => {
    const anyMs = fc.integer({ min: NO_WATERMARK, max: 99 })
    const anyReport = fc.tuple(fc.constantFrom(...TOPICS), fc.nat(2), anyMs, anyMs)
    fc.assert(
      fc.property(fc.array(anyReport, { maxLength: 60 }), (reports) => {
        const read = reader(TOPICS)
        const greatest = new Map<string, number>()
        let want = { closed: UNKNOWN, late: UNKNOWN }
        let latest = UNKNOWN
        for (const [topic, partition, watermark, eventWatermark] of reports) {
          const key = `${topic}-${partition}`
          if (watermark >= 0) greatest.set(key, Math.max(greatest.get(key) ?? 0, watermark))
          if (eventWatermark >= 0) latest = Math.max(latest, eventWatermark)
          const least = greatest.size === 6 ? Math.min(...greatest.values()) : UNKNOWN
          const closed = Math.max(want.closed, least)
          want = { closed, late: Math.max(want.late, Math.min(closed, latest)) }
          const report = { topic, partition, partitions: 3, completeMs: 0, onBehalf: false }
          expect(read({ ...report, watermark, eventWatermark })).to.deep.equal(want)
        }
      }),
      { numRuns: 500 },
    )
  })
})
