import { expect } from 'chai'
import fc from 'fast-check'
import { exactValue } from '../../../../services/core/histogram/exact-sum.ts'
import {
  addReading,
  createGauge,
  encodeGauge,
  GAUGE_MAX,
  gaugeResult,
  mergeEncodedGauge,
  mergeGauge,
} from '../../../../services/core/windows/gauge.ts'

/** A reading and its event time. */
type Reading = readonly [value: number, atUs: number]

/** Readings of either sign; -0 has its own test. */
const anyValue = fc
  .oneof(
    fc.double({ min: -GAUGE_MAX, max: GAUGE_MAX, noNaN: true }),
    fc.double({ min: -2, max: 2, noNaN: true }),
    fc.integer({ min: -9, max: 9 }),
  )
  .map((value) => value + 0)
const anyReadings = fc.array(fc.tuple(anyValue, fc.nat(6)), { minLength: 1, maxLength: 20 })
const shuffledReadings = anyReadings.chain((readings) =>
  fc.tuple(
    fc.constant(readings),
    fc.shuffledSubarray(readings, { minLength: readings.length }),
    fc.nat(readings.length),
  ),
)

function read(value: number, atUs: number): Reading {
  return [value, atUs]
}

function gaugeOf(readings: readonly Reading[]) {
  const gauge = createGauge()
  for (const [value, atUs] of readings) addReading(gauge, value, atUs)
  return gauge
}

describe('core/windows/gauge', () => {
  it('gives the same state for any order and split of the same readings', () => {
    fc.assert(
      fc.property(shuffledReadings, ([readings, shuffled, at]) => {
        const merged = gaugeOf(shuffled.slice(at))
        mergeGauge(merged, gaugeOf(shuffled.slice(0, at)))
        expect(encodeGauge('g', merged)).to.deep.equal(encodeGauge('g', gaugeOf(readings)))
      }),
      { numRuns: 1000 },
    )
  })

  it('comes back the same from its record', () => {
    fc.assert(
      fc.property(anyReadings, anyReadings, (one, other) => {
        const back = gaugeOf(one)
        mergeEncodedGauge(back, encodeGauge('g', gaugeOf(other)))
        expect(encodeGauge('g', back)).to.deep.equal(encodeGauge('g', gaugeOf([...one, ...other])))
      }),
    )
  })

  it('sums every reading rounded to 2^-20, exactly', () => {
    fc.assert(
      fc.property(anyReadings, (readings) => {
        const want = readings.reduce(
          (sum, [value]) => sum + BigInt(Math.round(value * 2 ** 20)),
          0n,
        )
        const gauge = gaugeOf(readings)
        expect(exactValue(gauge.sum)).to.equal(want)
        expect(gaugeResult(gauge).mean).to.equal(Number(want) / 2 ** 20 / readings.length)
      }),
    )
  })

  it('keeps a mean within 2^-20 of the readings, however many there are', () => {
    const gauge = createGauge()
    for (let i = 0; i < 100_000; i++) addReading(gauge, 0.1, i)
    expect(gaugeResult(gauge).mean).to.be.closeTo(0.1, 2 ** -20)
    for (let i = 0; i < 100_000; i++) addReading(gauge, -0.1, i)
    expect(gaugeResult(gauge).mean).to.equal(0)
  })

  it('publishes count, extremes, mean and last', () => {
    const readings = [read(0.25, 20), read(-1.5, 30), read(2, 10)]
    expect(gaugeResult(gaugeOf(readings))).to.deep.equal({
      count: 3,
      min: -1.5,
      max: 2,
      mean: 0.25,
      last: -1.5,
    })
  })

  const lasts: readonly (readonly [string, Reading[], number])[] = [
    ['the latest by event time, not by arrival', [read(1, 9), read(2, 5)], 1],
    ['the latest when it comes last', [read(2, 5), read(1, 9)], 1],
    ['the larger of two at the same time', [read(3, 5), read(4, 5)], 4],
    ['the larger of two at the same time, in the other order', [read(4, 5), read(3, 5)], 4],
    ['a negative reading that is alone', [read(-7, 5)], -7],
    ['a reading at the epoch', [read(-7, 0)], -7],
  ]
  for (const [name, readings, last] of lasts) {
    it(`takes as last ${name}`, () => {
      expect(gaugeResult(gaugeOf(readings)).last).to.equal(last)
    })
  }

  it('changes nothing by merging nothing', () => {
    const gauge = gaugeOf([[-3, 7]])
    mergeGauge(gauge, createGauge())
    expect(encodeGauge('g', gauge)).to.deep.equal(encodeGauge('g', gaugeOf([[-3, 7]])))
  })

  it('takes no side between 0 and -0', () => {
    const bits = (readings: readonly Reading[]) => {
      const { min, max, last } = encodeGauge('g', gaugeOf(readings))
      return Buffer.from(Float64Array.of(min, max, last).buffer).toString('hex')
    }
    expect(bits([read(-0, 5), read(0, 5)])).to.equal(bits([read(0, 5), read(-0, 5)]))
  })

  it('can be merged and sent after a slice full of the largest readings', () => {
    for (const value of [GAUGE_MAX, -GAUGE_MAX]) {
      const merged = createGauge()
      mergeGauge(merged, gaugeOf(Array.from({ length: 1000 }, (_, i) => [value, i])))
      const { sum_high, sum_low } = encodeGauge('g', merged)
      expect([sum_high, sum_low].every(Number.isSafeInteger)).to.equal(true)
      expect(gaugeResult(merged).mean).to.equal(value)
    }
  })
})
