import { expect } from 'chai'
import fc from 'fast-check'
import type { TokenEvents } from '../../../../schemas/records.ts'
import { NOON_US, wholeRequest } from '../../../records.ts'
import { encodedSlices } from './runs.ts'

const anyGap = fc.oneof(
  fc.nat(100),
  fc.nat(200_000),
  fc.constantFrom(9_999_999, 10_000_000),
  fc.nat(30_000_000),
)

/** A whole request of up to 40 chunks near the boundary of a slice, however it ended. */
const anyRequest: fc.Arbitrary<TokenEvents> = fc
  .record({
    at: fc.integer({ min: -500_000, max: 500_000 }),
    chunks: fc.array(fc.tuple(anyGap, fc.nat(4)), { maxLength: 40 }),
    hasTokens: fc.boolean(),
    status: fc.constantFrom('ok', 'error', 'cancelled', 'truncated'),
    closedAfterUs: anyGap,
    intended: fc.option(fc.integer({ min: -1_000_000, max: 1_000_000 })),
    guardUs: fc.option(fc.nat(500_000)),
  })
  .map(({ at, chunks, hasTokens, status, closedAfterUs, intended, guardUs }) => {
    const gaps_us = chunks.map(([gap]) => gap)
    const tokens = hasTokens ? chunks.map(([, n]) => n) : []
    const security = { validation_us: guardUs ?? 0, threat_detection_us: 1, output_filter_us: 2 }
    return wholeRequest(
      { started_at: NOON_US + at, gaps_us, tokens },
      {
        status,
        duration_us: gaps_us.reduce((sum, gap) => sum + gap, closedAfterUs),
        intended_at: intended === null ? null : NOON_US + intended,
        security: guardUs === null ? null : security,
      },
    )
  })

/** The request in records that end before each of the chunks `cuts`, the end in the last one. */
function split(request: TokenEvents, cuts: readonly number[]): TokenEvents[] {
  const last = request.gaps_us.length
  const bounds = [0, ...cuts.map((cut) => cut % (last + 1)).sort((a, b) => a - b), last]
  return bounds.slice(1).map((to, i) => {
    const from = bounds[i]!
    const before = request.gaps_us.slice(0, from)
    return {
      ...request,
      first_chunk: from,
      elapsed_us: before.reduce((sum, gap) => sum + gap, 0),
      gaps_us: request.gaps_us.slice(from, to),
      tokens: request.tokens.slice(from, to),
      end: i === bounds.length - 2 ? request.end : null,
    }
  })
}

const anySplit = fc
  .tuple(anyRequest, fc.array(fc.nat(), { maxLength: 6 }))
  .chain(([request, cuts]) => {
    const records = split(request, cuts)
    const shuffled = fc.shuffledSubarray(records, { minLength: records.length })
    return fc.tuple(fc.constant(request), shuffled)
  })

describe('core/windows/fold: records', () => {
  it('gives the same slices however a request is split, in whatever order the parts come', () => {
    fc.assert(
      fc.property(anySplit, ([request, records]) => {
        expect(encodedSlices(records)).to.deep.equal(encodedSlices([request]))
      }),
      { numRuns: 1000 },
    )
  })

  it('counts every chunk, token and request once, in whichever slices', () => {
    fc.assert(
      fc.property(anySplit, ([{ gaps_us, tokens }, records]) => {
        const slices = encodedSlices(records)
        const count = (id: number) =>
          slices
            .flatMap(({ metrics }) => metrics.filter((metric) => metric.id === id))
            .reduce((sum, metric) => sum + metric.count, 0)
        const later = tokens.length > 0 ? tokens.slice(1).reduce((sum, n) => sum + n, 0) : null
        const requests = slices.reduce((sum, slice) => sum + slice.requests, 0)
        expect([requests, count(0), count(1), count(2)]).to.deep.equal([
          1,
          Math.min(1, gaps_us.length),
          Math.max(0, gaps_us.length - 1),
          later ?? Math.max(0, gaps_us.length - 1),
        ])
      }),
    )
  })
})
