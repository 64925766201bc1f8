import { expect } from 'chai'
import fc from 'fast-check'
import type { WindowPlan } from '../../../services/core/windows/hopping.ts'
import { mergeAggregate, type SeriesAggregate } from '../../../services/core/windows/slice.ts'
import {
  openPane,
  type Panes,
  packPanes,
  paneStart,
  windowSums,
} from '../../../services/statistics/panes.ts'
import { mergeSlice, sliceRecord } from '../../records.ts'
import { aggregateOf, anyCounted, bytesOf, type Counted } from '../core/windows/aggregates.ts'

const SLICE_MS = 10_000
const SPAN = 30

/** Any sizes out of order, and any hop: the sizes are whole hops, the hop is whole slices. */
const anyPlan: fc.Arbitrary<WindowPlan> = fc
  .record({
    hop: fc.integer({ min: 1, max: 6 }),
    sizes: fc.uniqueArray(fc.integer({ min: 1, max: 9 })),
  })
  .map(({ hop, sizes }) => ({
    hopMs: hop * SLICE_MS,
    sizesMs: sizes.map((size) => size * hop * SLICE_MS),
  }))

/** Slices in any order, and in between what has ended by some instant is packed. */
const anyStep = fc.record({
  at: fc.integer({ min: -SPAN, max: SPAN }),
  counted: fc.option(anyCounted, { nil: null, freq: 4 }),
})
interface Step {
  readonly at: number
  readonly counted: Counted[] | null
}

/** Of all slices that lie in the window: what every window was made of before there were panes. */
function fromScratch(steps: readonly Step[], startMs: number, endMs: number): SeriesAggregate {
  const sum = aggregateOf([])
  for (const { at, counted } of steps) {
    const isInside = at * SLICE_MS >= startMs && at * SLICE_MS < endMs
    if (counted && isInside) mergeAggregate(sum, aggregateOf(counted))
  }
  return sum
}

function panesOf(steps: readonly Step[], plan: WindowPlan): Panes {
  const panes: Panes = new Map()
  for (const { at, counted } of steps) {
    if (counted === null) packPanes(panes, plan, (at - 7) * SLICE_MS, at * SLICE_MS)
    else mergeSlice(openPane(panes, paneStart(plan, at * SLICE_MS)), sliceOf(at, counted))
  }
  return panes
}

function sliceOf(at: number, counted: readonly Counted[]) {
  return sliceRecord(at * SLICE_MS, aggregateOf(counted))
}

describe('statistics/panes', () => {
  it('sums every window up to the same bytes as from its slices', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 40 }), anyPlan, (steps, plan) => {
        const panes = panesOf(steps, plan)
        const first = paneStart(plan, -SPAN * SLICE_MS)
        const last = (SPAN + 60) * SLICE_MS
        for (let endMs = first; endMs <= last; endMs += plan.hopMs) {
          const sizes: number[] = []
          for (const { sizeMs, sum } of windowSums(panes, plan, endMs)) {
            const scratch = fromScratch(steps, endMs - sizeMs, endMs)
            expect(bytesOf(sliceRecord(0, sum))).equal(bytesOf(sliceRecord(0, scratch)))
            sizes.push(sizeMs)
          }
          expect(sizes).deep.equal(plan.sizesMs.toSorted((a, b) => a - b))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('keeps two panes open at most, whatever order the slices come in', () => {
    const plan = { sizesMs: [60_000], hopMs: 60_000 }
    const steps = [0, 6, 12, 0, 18, 6].map((at) => ({ at, counted: [] }))
    const packed = [...panesOf(steps, plan)].filter(([, pane]) => 'bytes' in pane)
    expect(packed.map(([startMs]) => startMs / 60_000)).deep.equal([0, 2])
  })

  it('packs what has ended, and opens it again for what is late', () => {
    const plan = { sizesMs: [60_000], hopMs: 60_000 }
    const kinds = (panes: Panes) => [...panes.values()].map((pane) => 'bytes' in pane)
    const panes = panesOf(
      [
        { at: 0, counted: [] },
        { at: 6, counted: [] },
      ],
      plan,
    )
    packPanes(panes, plan, 0, 60_000)
    expect(kinds(panes)).deep.equal([true, false])
    openPane(panes, 0)
    expect(kinds(panes)).deep.equal([false, false])
  })
})
