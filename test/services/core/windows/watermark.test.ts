import { expect } from 'chai'
import fc from 'fast-check'
import {
  advanceWatermark,
  createWatermarks,
  NO_WATERMARK,
  reportWatermark,
} from '../../../../services/core/windows/watermark.ts'

const UNKNOWN = Number.NEGATIVE_INFINITY
const TOPICS = ['a', 'b'] as const

/** Reports of partitions of two topics: what each gives as the merged watermark. */
function merged(
  expected: readonly string[],
  ...reports: readonly (readonly [string, number, number, number])[]
): number[] {
  const state = createWatermarks(expected)
  return reports.map(([topic, partition, partitions, watermark]) =>
    reportWatermark(state, { topic, partition, partitions, watermark }),
  )
}

describe('core/windows/watermark', () => {
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

  it('is the greatest minimum so far of what the partitions have promised', () => {
    const anyReport = fc.tuple(
      fc.constantFrom(...TOPICS),
      fc.nat(2),
      fc.integer({ min: -1, max: 99 }),
    )
    fc.assert(
      fc.property(fc.array(anyReport, { maxLength: 60 }), (reports) => {
        const state = createWatermarks(TOPICS)
        const greatest = new Map<string, number>()
        let want = UNKNOWN
        for (const [topic, partition, watermark] of reports) {
          const key = `${topic}-${partition}`
          if (watermark >= 0) {
            greatest.set(key, Math.max(greatest.get(key) ?? 0, watermark))
          }
          if (greatest.size === 6) want = Math.max(want, Math.min(...greatest.values()))
          const got = reportWatermark(state, { topic, partition, partitions: 3, watermark })
          expect(got).to.equal(want)
        }
      }),
      { numRuns: 500 },
    )
  })
})
