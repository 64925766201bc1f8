import { expect } from 'chai'
import fc from 'fast-check'
import { CHUNK_GAP, ITL } from '../../../../services/core/measure/measures.ts'
import { GAP_TOKENS, GAPS_US } from '../../../../services/core/windows/gaps.ts'
import {
  addGaps,
  addMeasure,
  createAggregate,
  encodeSlice,
  type SeriesAggregate,
} from '../../../../services/core/windows/slice.ts'

/** A gap and the tokens of its chunk. */
type Gap = readonly [us: number, tokens: number]

/** One by one, as the definitions have it. */
function addSingly(target: SeriesAggregate, gaps: readonly Gap[]): void {
  for (const [us, tokens] of gaps) {
    addMeasure(target, CHUNK_GAP, us, 1)
    if (tokens > 0) addMeasure(target, ITL, Math.round(us / tokens), tokens)
  }
}

/** In runs of so many. */
function addInRuns(target: SeriesAggregate, gaps: readonly Gap[], size: number): void {
  const us = Int32Array.from(gaps, ([gap]) => gap)
  const tokens = Int32Array.from(gaps, ([, n]) => n)
  for (let from = 0; from < gaps.length; from += size) {
    addGaps(target, us, tokens, from, Math.min(gaps.length, from + size))
  }
}

function contentOf(target: SeriesAggregate) {
  const { metrics, ...counts } = encodeSlice(0, target)
  return {
    ...counts,
    metrics: metrics.map((one) => ({ ...one, counts: [...(one.counts as Uint32Array)] })),
  }
}

const us = fc.oneof(
  fc.nat(3),
  fc.nat(50_000),
  fc.constantFrom(2 ** 20 - 1, 2 ** 20, 2 ** 31 - 1),
  fc.nat(2 ** 31 - 1),
)
const tokens = fc.oneof(fc.nat(3), fc.constantFrom(255, 256, 2 ** 31 - 1))

describe('core/windows/gaps', () => {
  it('counts gaps many at a time as one after the other', () => {
    const all = fc.array(fc.tuple(us, tokens), { maxLength: 700, size: 'max' })
    const property = fc.property(all, fc.integer({ min: 1, max: 600 }), (gaps, size) => {
      const [many, singly] = [createAggregate(), createAggregate()]
      addInRuns(many, gaps, size)
      addSingly(singly, gaps)
      expect(contentOf(many)).to.deep.equal(contentOf(singly))
    })
    fc.assert(property, { numRuns: 200 })
  })

  it('leaves no sum to a double that it cannot hold', () => {
    for (const n of [1, 255]) {
      const gaps = Array.from({ length: 20_000 }, () => [2 ** 20 - 1, n] as const)
      const [many, singly] = [createAggregate(), createAggregate()]
      // An odd number: or all sums end in zeros, which a double holds of larger ones too.
      addInRuns(many, gaps, 511)
      addSingly(singly, gaps)
      expect(contentOf(many)).to.deep.equal(contentOf(singly))
    }
  })

  it('takes each chunk for one token where nobody counted', () => {
    const gaps = Int32Array.of(0, 12_000, 2 ** 20, 7)
    const [many, singly] = [createAggregate(), createAggregate()]
    addGaps(many, gaps, null, 0, gaps.length)
    addSingly(
      singly,
      [...gaps].map((gap) => [gap, 1] as const),
    )
    expect(contentOf(many)).to.deep.equal(contentOf(singly))
  })

  it('counts any number at once', () => {
    const gaps = Array.from({ length: 20_001 }, (_, i) => [(i * 7919) % 90_000, i % 3] as const)
    const [many, singly] = [createAggregate(), createAggregate()]
    addInRuns(many, gaps, gaps.length)
    addSingly(singly, gaps)
    expect(contentOf(many)).to.deep.equal(contentOf(singly))
  })

  it('tells targets apart that take turns', () => {
    const all = fc.array(fc.tuple(us, tokens, fc.boolean()), { maxLength: 300, size: 'max' })
    const property = fc.property(all, (gaps) => {
      const [many, singly] = [0, 1].map(() => [createAggregate(), createAggregate()] as const)
      for (const [gap, n, isFirst] of gaps) {
        addInRuns(many![isFirst ? 0 : 1], [[gap, n]], 1)
        addSingly(singly![isFirst ? 0 : 1], [[gap, n]])
      }
      expect(many!.map(contentOf)).to.deep.equal(singly!.map(contentOf))
    })
    fc.assert(property, { numRuns: 50 })
  })

  it('counts what was put where it counts, and any tokens with it', () => {
    const gaps = Array.from({ length: 90 }, (_, i) => [i * 1_000, i % 3] as const)
    for (const own of [GAP_TOKENS, new Int32Array(90)]) {
      const [many, singly] = [createAggregate(), createAggregate()]
      GAP_TOKENS.fill(9)
      GAPS_US.set(gaps.map(([gap]) => gap))
      own.set(gaps.map(([, n]) => n))
      addGaps(many, GAPS_US, own, 3, 90)
      addSingly(singly, gaps.slice(3))
      expect(contentOf(many)).to.deep.equal(contentOf(singly))
    }
  })

  it('counts on where a bucket holds more than 32 bits', () => {
    const [many, singly] = [createAggregate(), createAggregate()]
    const gaps = Array.from({ length: 10 }, () => [5, 1] as const)
    for (const target of [many, singly]) {
      addMeasure(target, CHUNK_GAP, 5, 2 ** 32 - 3)
      addMeasure(target, ITL, 5, 2 ** 32 - 3)
    }
    addInRuns(many, gaps, 10)
    addSingly(singly, gaps)
    expect(contentOf(many)).to.deep.equal(contentOf(singly))
    expect(contentOf(many).metrics[0]!.count).to.equal(2 ** 32 + 7)
  })
})
