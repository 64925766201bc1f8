import { expect } from 'chai'
import { createHold } from '../../../../services/core/windows/hold.ts'
import {
  createWatermarks,
  NO_WATERMARK,
  reportWatermark,
} from '../../../../services/core/windows/watermark.ts'

const HOLD_MS = 60_000

/** A hold over the two partitions of one topic; times in seconds. */
function setUp(holdMs = HOLD_MS) {
  const watermarks = createWatermarks(['a'])
  const hold = createHold(holdMs)
  return {
    /** Says of itself: watermark, the same by its events, and when it was last read. */
    report(partition: number, watermarkS: number, eventS: number | null, readS: number): void {
      const watermark = watermarkS * 1000
      const eventWatermark = eventS === null ? NO_WATERMARK : eventS * 1000
      const place = { topic: 'a', partition, partitions: 2 }
      const times = { watermark, eventWatermark, completeMs: readS * 1000 }
      reportWatermark(watermarks, { ...place, ...times, onBehalf: false })
    },
    /** Partition and watermark in seconds of what is waited for no more. */
    look(nowS: number): string[] {
      const held = hold.look(nowS * 1000, watermarks)
      return held.map(({ partition, watermark }) => `${partition} to ${watermark / 1000}`)
    },
  }
}

describe('core/windows/hold', () => {
  it('ends when the first partition has been ahead for so long, and not before', () => {
    const { report, look } = setUp()
    report(0, 1_000, 1_000, 100)
    report(1, 500, 500, 100)
    expect([look(100), look(159)]).to.deep.equal([[], []])
    expect(look(160)).to.deep.equal(['1 to 1000'])
  })

  it('moves on as the first partition did, so much later', () => {
    const { report, look } = setUp()
    report(1, 500, 500, 100)
    for (let s = 100; s <= 200; s += 10) {
      report(0, 1_000 + s, 1_000 + s, s)
      report(1, 500, 500, s)
      look(s)
    }
    expect(look(201)).to.deep.equal(['1 to 1140'])
  })

  it('does not count the clock of an idle partition against one that is read', () => {
    const { report, look } = setUp()
    for (let s = 100; s <= 200; s += 10) {
      report(0, s, null, s)
      report(1, 20, 20, s)
      expect(look(s), `${s}`).to.deep.equal([])
    }
  })

  it('counts it against one that nobody has read for so long', () => {
    const { report, look } = setUp()
    report(1, 20, 20, 100)
    for (let s = 100; s <= 150; s += 10) {
      report(0, s, null, s)
      expect(look(s), `${s}`).to.deep.equal([])
    }
    expect(look(161)).to.deep.equal(['1 to 100'])
  })

  it('waits for a partition that has never reported', () => {
    const { report, look } = setUp()
    report(0, 1_000, 1_000, 100)
    look(100)
    expect(look(9_000)).to.deep.equal([])
  })

  it('has nothing to say of one that is less than a slice behind', () => {
    const { report, look } = setUp()
    report(0, 1_009, 1_009, 100)
    report(1, 1_000, 1_000, 100)
    look(100)
    expect(look(160)).to.deep.equal([])
  })

  it('waits for ever when it is told to', () => {
    const { report, look } = setUp(Number.POSITIVE_INFINITY)
    report(0, 1_000, 1_000, 100)
    report(1, 500, 500, 100)
    look(100)
    expect(look(1e9)).to.deep.equal([])
  })
})
