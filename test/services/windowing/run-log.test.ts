import { expect } from 'chai'
import fc from 'fast-check'
import type { TokenEvents } from '../../../schemas/records.ts'
import { createRunLog } from '../../../services/windowing/run-log.ts'
import { NOON_US, tokenEvents, wholeRequest } from '../../records.ts'
import { anyTokenEvents, contentOf, runOf } from '../bus/token-run-fixture.ts'
import { tokenRun } from '../core/windows/runs.ts'

/** What must come out of the log: all but the labels. */
function expected(events: TokenEvents) {
  const { labels: _, ...rest } = runOf(events)
  return rest
}

function read(log: ReturnType<typeof createRunLog>, place: number) {
  const { labels: _, ...rest } = contentOf(log.read(place))
  return rest
}

describe('windowing/run-log', () => {
  it('gives back any run as it was kept', () => {
    const property = fc.property(fc.array(anyTokenEvents, { maxLength: 12 }), (all) => {
      const log = createRunLog()
      const places = all.map((events) => log.keep(tokenRun(events)))
      expect(places.map((place) => read(log, place))).to.deep.equal(all.map(expected))
    })
    fc.assert(property, { numRuns: 200 })
  })

  it('keeps gaps and counts that no word of it holds', () => {
    const log = createRunLog()
    for (const [gaps_us, tokens] of [
      [
        [2 ** 24 - 1, 2 ** 24],
        [255, 1],
      ],
      [
        [1, 2, 3],
        [255, 256, 0],
      ],
      [[2 ** 31 - 1], []],
    ] as const) {
      const events = tokenEvents({ gaps_us: [...gaps_us], tokens: [...tokens] })
      expect(read(log, log.keep(tokenRun(events)))).to.deep.equal(expected(events))
    }
  })

  it('follows the runs of a series, and begins anew with the room that it has', () => {
    const log = createRunLog()
    const long = tokenEvents({ gaps_us: Array.from({ length: 100_000 }, (_, i) => i), tokens: [] })
    const [first, other, last] = [wholeRequest(), tokenEvents(), long].map((e) =>
      log.keep(tokenRun(e)),
    )
    log.link(first!, last!)
    expect([log.next(first!), log.next(other!), log.next(last!)]).to.deep.equal([last, -1, -1])
    expect(read(log, last!)).to.deep.equal(expected(long))
    expect(read(log, first!)).to.deep.equal(expected(wholeRequest()))
    const room = log.bytes()
    log.clear()
    const again = tokenEvents({ started_at: NOON_US + 7 })
    expect(read(log, log.keep(tokenRun(again)))).to.deep.equal(expected(again))
    expect(log.bytes()).to.equal(room).and.greaterThan(400_000)
  })
})
