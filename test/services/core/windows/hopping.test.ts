import { expect } from 'chai'
import fc from 'fast-check'
import {
  DEFAULT_WINDOWS,
  firstEndAfter,
  lastUse,
  type WindowPlan,
  windowPlanFault,
} from '../../../../services/core/windows/hopping.ts'
import { SLICE_MS } from '../../../../services/core/windows/slice.ts'

const MINUTE_MS = 60_000

/** Plans that can be: hops of whole slices, sizes of whole hops. */
const anyPlan: fc.Arbitrary<WindowPlan> = fc
  .tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
  )
  .map(([slices, hops]) => {
    const hopMs = slices * SLICE_MS
    return { hopMs, sizesMs: hops.map((n) => n * hopMs) }
  })
const anySlice = fc.nat(100_000).map((n) => n * SLICE_MS)

/** The ends of all windows of a size that hold an instant, by trying every end in reach. */
function endsHolding({ hopMs }: WindowPlan, ms: number, sizeMs: number): number[] {
  const ends: number[] = []
  const first = Math.floor(ms / hopMs) * hopMs - hopMs
  for (let endMs = first; endMs <= ms + sizeMs + hopMs; endMs += hopMs) {
    if (endMs - sizeMs <= ms && ms < endMs) ends.push(endMs)
  }
  return ends
}

describe('core/windows/hopping', () => {
  it('gives the first window end after an instant, never the instant itself', () => {
    const ends = [0, 1, 59_999, 60_000, 60_001].map((ms) => firstEndAfter(DEFAULT_WINDOWS, ms))
    expect(ends).to.deep.equal([60_000, 60_000, 60_000, 120_000, 120_000])
  })

  it('enumerates every window that holds a slice, from the first end in steps of the hop', () => {
    fc.assert(
      fc.property(anyPlan, anySlice, (plan, sliceMs) => {
        for (const sizeMs of plan.sizesMs) {
          const first = firstEndAfter(plan, sliceMs)
          const ends = Array.from({ length: sizeMs / plan.hopMs }, (_, i) => first + i * plan.hopMs)
          expect(ends).to.deep.equal(endsHolding(plan, sliceMs, sizeMs))
        }
      }),
    )
  })

  it('needs a slice until the end of the last window of any size that holds it', () => {
    fc.assert(
      fc.property(anyPlan, anySlice, (plan, sliceMs) => {
        const ends = plan.sizesMs.flatMap((sizeMs) => endsHolding(plan, sliceMs, sizeMs))
        expect(lastUse(plan, sliceMs)).to.equal(Math.max(...ends))
      }),
    )
  })

  it('ships windows of 1, 5 and 15 minutes that advance by one minute', () => {
    expect(DEFAULT_WINDOWS).to.deep.equal({
      sizesMs: [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS],
      hopMs: MINUTE_MS,
    })
    expect(windowPlanFault(DEFAULT_WINDOWS)).to.equal(null)
  })

  it('finds no fault in hops of whole slices and sizes of whole hops', () => {
    fc.assert(fc.property(anyPlan, (plan) => windowPlanFault(plan) === null))
  })

  const faults: readonly (readonly [number, readonly number[], string])[] = [
    [0, [60_000], 'the hop of 0 ms is not a multiple of the slice of 10000 ms'],
    [-10_000, [60_000], 'the hop of -10000 ms is not a multiple of the slice of 10000 ms'],
    [15_000, [60_000], 'the hop of 15000 ms is not a multiple of the slice of 10000 ms'],
    [Number.NaN, [60_000], 'the hop of NaN ms is not a multiple of the slice of 10000 ms'],
    [60_000, [60_000, 90_000], 'the size of 90000 ms is not a multiple of the hop'],
    [60_000, [30_000], 'the size of 30000 ms is not a multiple of the hop'],
    [60_000, [0], 'the size of 0 ms is not a multiple of the hop'],
    [60_000, [-60_000], 'the size of -60000 ms is not a multiple of the hop'],
  ]
  for (const [hopMs, sizesMs, fault] of faults) {
    it(`says that ${fault}`, () => {
      expect(windowPlanFault({ hopMs, sizesMs })).to.equal(fault)
    })
  }
})
