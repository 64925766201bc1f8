import { expect } from 'chai'
import type { Aggregate } from '../../../../schemas/records.ts'
import { evaluate, type Verdict } from '../../../../services/core/triggers/evaluate.ts'
import {
  COUNTERS,
  type Condition,
  GAUGE_STATS,
  METRIC_STATS,
  type Reading,
} from '../../../../services/core/triggers/rule.ts'
import {
  compare,
  distribution,
  E2E_P95,
  ERROR_RATIO,
  GPU_MEAN,
  REQUEST_RATE,
  windowEnding,
} from './fixture.ts'

const aggregate = windowEnding(5)
/** A condition of each verdict: p95 of e2e is 150 ms, and there is no TTFT. */
const LEAVES: readonly (readonly [Verdict, Condition])[] = [
  [true, compare(E2E_P95, 100_000)],
  [false, compare(E2E_P95, 200_000)],
  [null, compare({ kind: 'metric', metric: 'ttft_us', stat: 'p95' }, 1)],
]

function verdict(condition: Condition, of: Aggregate = aggregate, isWhole = true): Verdict {
  return evaluate(condition, of, isWhole).verdict
}

function kleene(kind: 'all' | 'any', a: Verdict, b: Verdict): Verdict {
  const decisive = kind === 'any'
  if (a === decisive || b === decisive) return decisive
  return a === null || b === null ? null : !decisive
}

describe('core/triggers/evaluate: logic', () => {
  for (const [a, left] of LEAVES) {
    for (const [b, right] of LEAVES) {
      for (const kind of ['all', 'any'] as const) {
        it(`takes ${kind} of ${a} and ${b} as ${kleene(kind, a, b)}`, () => {
          expect(verdict({ kind, conditions: [left, right] })).to.equal(kleene(kind, a, b))
        })
      }
    }
    it(`takes not ${a} as ${a === null ? null : !a}`, () => {
      expect(verdict({ kind: 'not', condition: left })).to.equal(a === null ? null : !a)
    })
  }

  it('looks at every condition of a list, nested ones too', () => {
    const [yes, no, unknown] = LEAVES.map(([, leaf]) => leaf) as [Condition, Condition, Condition]
    expect(verdict({ kind: 'all', conditions: [yes, yes, unknown, yes, no] })).to.equal(false)
    expect(verdict({ kind: 'any', conditions: [no, unknown, no, yes] })).to.equal(true)
    const inner: Condition = { kind: 'not', condition: { kind: 'any', conditions: [no, unknown] } }
    expect(verdict({ kind: 'all', conditions: [yes, inner] })).to.equal(null)
  })

  it('says what was read and compared, though the answer was clear before', () => {
    const [yes, no, unknown] = LEAVES.map(([, leaf]) => leaf) as [Condition, Condition, Condition]
    const gpu = compare(GPU_MEAN, 0.9)
    const { observed, thresholds } = evaluate(
      { kind: 'all', conditions: [no, unknown, { kind: 'any', conditions: [yes, gpu] }] },
      aggregate,
      true,
    )
    expect(observed).to.deep.equal({ 'e2e_us.p95': 150_000, 'gpu_utilization.mean': 0.6 })
    const names = ['e2e_us.p95', 'e2e_us.p95 above', 'ttft_us.p95', 'gpu_utilization.mean']
    expect(thresholds).to.have.all.keys(names)
  })
})

describe('core/triggers/evaluate: comparisons', () => {
  it('is above or below a threshold, never at it', () => {
    for (const [threshold, above, below] of [
      [149_999, true, false],
      [150_000, false, false],
      [150_001, false, true],
    ] as const) {
      expect(verdict(compare(E2E_P95, threshold))).to.equal(above)
      expect(verdict(compare(E2E_P95, threshold, { direction: 'below' }))).to.equal(below)
    }
  })

  const readings: readonly (readonly [Reading, number])[] = [
    ...METRIC_STATS.map(
      (stat) => [{ kind: 'metric', metric: 'e2e_us', stat }, distribution()[stat]] as const,
    ),
    ...GAUGE_STATS.map(
      (stat) =>
        [
          { kind: 'gauge', gauge: 'gpu_utilization', stat },
          aggregate.gauges.gpu_utilization![stat],
        ] as const,
    ),
    ...COUNTERS.map((counter) => [{ kind: 'rate', counter }, aggregate[counter] / 300] as const),
    [ERROR_RATIO, 0.05],
    [{ kind: 'ratio', counter: 'output_tokens', of: 'input_tokens' }, 1.25],
  ]
  for (const [reading, value] of readings) {
    it(`reads ${value} as ${JSON.stringify(reading)}`, () => {
      const { observed } = evaluate(compare(reading, 0), aggregate, true)
      expect(Object.values(observed)).to.deep.equal([value])
    })
  }

  it('is unknown where there is nothing to read, and says nothing of it', () => {
    const nothing = windowEnding(5, { metrics: {}, gauges: {}, requests: 0, errors: 0 })
    for (const reading of [E2E_P95, GPU_MEAN, ERROR_RATIO]) {
      for (const direction of ['above', 'below'] as const) {
        const evaluation = evaluate(compare(reading, 1, { direction }), nothing, true)
        expect(evaluation.verdict).to.equal(null)
        expect(evaluation.observed).to.deep.equal({})
        expect(Object.values(evaluation.thresholds)).to.deep.equal([1])
      }
    }
  })

  it('takes a rate of nothing as 0, since a silent fleet must be seen', () => {
    const silent = windowEnding(5, { requests: 0 })
    expect(verdict(compare(REQUEST_RATE, 10, { direction: 'below' }), silent)).to.equal(true)
  })

  for (const gauge of ['constructor', 'toString']) {
    it(`does not take ${gauge} for a gauge that was read`, () => {
      const reading: Reading = { kind: 'gauge', gauge, stat: 'mean' }
      const { verdict, observed } = evaluate(compare(reading, 1), aggregate, true)
      expect({ verdict, observed }).to.deep.equal({ verdict: null, observed: {} })
    })
  }
})

describe('core/triggers/evaluate: too little data', () => {
  // As many samples as the fixture has: values, requests, errors' denominator, readings.
  const samples: readonly (readonly [Reading, number])[] = [
    [E2E_P95, 100],
    [REQUEST_RATE, 600],
    [ERROR_RATIO, 600],
    [GPU_MEAN, 30],
  ]
  for (const [reading, count] of samples) {
    it(`is unknown with fewer samples than minCount: ${reading.kind} of ${count}`, () => {
      const at = (minCount: number) => evaluate(compare(reading, -1, { minCount }), aggregate, true)
      expect([count - 1, count].map((n) => at(n).verdict)).to.deep.equal([true, true])
      expect(at(count + 1).verdict).to.equal(null)
      expect(at(count + 1).observed).to.deep.equal(at(count).observed)
    })
  }

  it('does not know a rate below a threshold before a whole window of the series', () => {
    const below = compare(REQUEST_RATE, 10, { direction: 'below' })
    expect(verdict(below, { ...aggregate, incomplete: true }), 'incomplete').to.equal(null)
    expect([verdict(below, aggregate, false), verdict(below, aggregate, true)]).to.deep.equal([
      null,
      true,
    ])
  })

  it('knows at once a rate above a threshold, and whatever is no rate', () => {
    expect(verdict(compare(REQUEST_RATE, 1), aggregate, false)).to.equal(true)
    expect(verdict(compare(REQUEST_RATE, 10), aggregate, false)).to.equal(false)
    for (const reading of [E2E_P95, ERROR_RATIO, GPU_MEAN]) {
      const below = compare(reading, 1e9, { direction: 'below' })
      expect(verdict(below, aggregate, false)).to.equal(true)
    }
  })
})
