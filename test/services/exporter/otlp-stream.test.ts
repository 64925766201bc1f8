import { expect } from 'chai'
import fc from 'fast-check'
import type { Aggregate } from '../../../schemas/records.ts'
import { createOtlpStream } from '../../../services/exporter/otlp-stream.ts'
import { aggregate, distributionOf, T0_MS } from '../formats/records.ts'

const MINUTE_MS = 60_000
const STREAM_MS = 6 * 3_600_000

function minute(i: number, more: Partial<Aggregate> = {}): Aggregate {
  const start = T0_MS + i * MINUTE_MS
  return aggregate({ start, end: start + MINUTE_MS, ...more })
}

describe('exporter/otlp-stream', () => {
  it('says what has been counted from the first window to the end of this one', () => {
    const stream = createOtlpStream('cumulative')
    const said = [3, 4, 9].map((requests, i) => stream.add(minute(i, { requests })))
    const spans = said.map((one) => {
      const { start, end, requests } = one as Aggregate
      return [(start - T0_MS) / MINUTE_MS, (end - T0_MS) / MINUTE_MS, requests]
    })
    expect(spans).to.deep.equal([
      [0, 1, 3],
      [0, 2, 7],
      [0, 3, 16],
    ])
  })

  it('adds histograms up to that of all values', () => {
    const values = fc.array(fc.integer({ min: 0, max: 2 ** 30 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(fc.array(values, { minLength: 1, maxLength: 8 }), (windows) => {
        const stream = createOtlpStream('cumulative')
        const metrics = (own: readonly number[]) => ({ ttft_us: distributionOf(own) })
        const said = windows.map((own, i) => stream.add(minute(i, { metrics: metrics(own) })))
        const { count, sum, min, max, histogram } = (said.at(-1) as Aggregate).metrics.ttft_us!
        const all = distributionOf(windows.flat())
        expect({ count, sum, min, max, histogram }).to.deep.equal({
          ...{ count: all.count, sum: all.sum, min: all.min, max: all.max },
          histogram: all.histogram,
        })
      }),
    )
  })

  it('counts a window once, and says a late one with the next', () => {
    const stream = createOtlpStream('cumulative')
    stream.add(minute(0, { requests: 1 }))
    stream.add(minute(2, { requests: 4 }))
    expect(stream.add(minute(2, { requests: 4 }))).to.equal('repeats')
    expect(stream.add(minute(1, { requests: 2 }))).to.equal('folded')
    expect(stream.add(minute(3, { requests: 8 }))).to.deep.include({ requests: 15 })
  })

  it('says late data at once to whoever keeps it in memory', () => {
    const stream = createOtlpStream('cumulative', true)
    stream.add(minute(0, { requests: 1 }))
    const last = stream.add(minute(2, { requests: 4 })) as Aggregate
    const late = stream.add(minute(1, { requests: 2 })) as Aggregate
    expect(late).to.deep.include({ requests: 7, start: last.start, end: last.end })
  })

  it('begins anew every six hours, and takes nothing of what is over', () => {
    const stream = createOtlpStream('cumulative')
    stream.add(minute(0))
    const number = stream.number()
    const later = minute(STREAM_MS / MINUTE_MS, { requests: 5 })
    expect(stream.add(later)).to.deep.include({ start: later.start, requests: 5 })
    expect(stream.number()).to.equal(number + 1)
    expect(stream.add(minute(1))).to.equal('late')
  })

  it('says each window by itself when it is told so, but once', () => {
    const stream = createOtlpStream('delta')
    const [first, second] = [minute(1), minute(0)]
    expect(stream.add(first)).to.equal(first)
    expect(stream.add(second)).to.equal(second)
    expect(stream.add(first)).to.equal('repeats')
  })

  it('says what later windows do not change', () => {
    const stream = createOtlpStream('cumulative')
    const metrics = { ttft_us: distributionOf([1_000]) }
    const first = stream.add(minute(0, { metrics })) as Aggregate
    const before = structuredClone(first)
    stream.add(minute(1, { metrics: { ttft_us: distributionOf([9, 2_000]) } }))
    expect(first).to.deep.equal(before)
  })
})
