import { expect } from 'chai'
import fc from 'fast-check'
import {
  addExact,
  addProduct,
  createExactSum,
  type ExactSum,
  exactValue,
  mergeExact,
} from '../../../../services/core/histogram/exact-sum.ts'

const LIMB = 2 ** 52

/** Integer-valued doubles of every size below 2^100 in magnitude, many of them near the limbs. */
const anyInteger = fc
  .tuple(
    fc.oneof(
      fc.integer({ min: -5, max: 5 }),
      fc.integer({ min: -3, max: 3 }).map((by) => LIMB + by),
      fc.integer({ min: -3, max: 3 }).map((by) => 2 ** 53 + by),
      fc.maxSafeInteger(),
    ),
    fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 46 })),
    fc.boolean(),
  )
  .map(([value, exponent, negative]) => (negative ? -1 : 1) * value * 2 ** exponent)

/** The factors of a product as the histogram makes them: times * value * value. */
const anyProduct = fc.tuple(
  fc.oneof(fc.nat(2), fc.integer({ min: 0, max: 2 ** 40 })),
  fc.oneof(fc.nat(2), fc.integer({ min: 0, max: 2 ** 40 })),
  fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 2 ** 20 })),
)

function sumOf(values: Iterable<number>): ExactSum {
  const sum = createExactSum()
  for (const value of values) addExact(sum, value)
  return sum
}

function expectSum(sum: ExactSum, want: bigint): void {
  expect(exactValue(sum)).to.equal(want)
  expect(sum.low).to.be.within(0, LIMB - 1)
  expect(Number.isSafeInteger(sum.high) && Number.isSafeInteger(sum.low)).to.equal(true)
}

describe('core/histogram/exact-sum', () => {
  it('adds integers of either sign exactly', () => {
    fc.assert(
      fc.property(fc.array(anyInteger, { maxLength: 40 }), (values) => {
        expectSum(
          sumOf(values),
          values.reduce((sum, value) => sum + BigInt(value), 0n),
        )
      }),
      { numRuns: 1000 },
    )
  })

  it('comes to the same limbs in any order and split', () => {
    const input = fc.tuple(fc.array(anyInteger, { maxLength: 20 }), fc.array(anyInteger))
    fc.assert(
      fc.property(input, ([some, others]) => {
        const merged = sumOf(others.toReversed())
        mergeExact(merged, sumOf(some))
        expect(merged).to.deep.equal(sumOf([...some, ...others]))
      }),
      { numRuns: 1000 },
    )
  })

  it('adds products exactly, those beyond 2^53 too', () => {
    fc.assert(
      fc.property(fc.array(anyProduct, { maxLength: 20 }), (products) => {
        const sum = createExactSum()
        let want = 0n
        for (const [a, b, times] of products) {
          addProduct(sum, a, b, times)
          want += BigInt(a) * BigInt(b) * BigInt(times)
        }
        expectSum(sum, want)
      }),
      { numRuns: 1000 },
    )
  })

  const edges: readonly (readonly [string, readonly number[], ExactSum])[] = [
    ['nothing', [], { high: 0, low: 0 }],
    ['2^52 - 1', [LIMB - 1], { high: 0, low: LIMB - 1 }],
    ['2^52', [LIMB], { high: 1, low: 0 }],
    ['2^52 in two steps', [LIMB - 1, 1], { high: 1, low: 0 }],
    ['2^53 + 1, which no double holds', [2 ** 53, 1], { high: 2, low: 1 }],
    ['-1', [-1], { high: -1, low: LIMB - 1 }],
    ['-2^52', [-LIMB], { high: -1, low: 0 }],
    ['a value and its opposite', [2 ** 90, -(2 ** 90)], { high: 0, low: 0 }],
  ]
  for (const [name, values, want] of edges) {
    it(`keeps ${name}`, () => {
      expect(sumOf(values)).to.deep.equal(want)
    })
  }

  it('adds a product on either side of 2^52', () => {
    for (const [a, b, times] of [
      [2 ** 26, 2 ** 26, 1],
      [2 ** 26 - 1, 2 ** 26 + 1, 1],
      [94906267, 94906267, 1],
      [2 ** 40, 2 ** 40, 1000],
    ] as const) {
      const sum = createExactSum()
      addProduct(sum, a, b, times)
      expectSum(sum, BigInt(a) * BigInt(b) * BigInt(times))
    }
  })

  it('crashes when the limbs are outgrown instead of losing a unit', () => {
    const sum = { high: Number.MAX_SAFE_INTEGER, low: 0 }
    expect(() => mergeExact(sum, { high: 1, low: 0 })).to.throw('outgrown')
  })
})
