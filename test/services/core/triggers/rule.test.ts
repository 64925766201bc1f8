import { expect } from 'chai'
import {
  COUNTERS,
  type Condition,
  describeCondition,
  GAUGE_STATS,
  METRIC_STATS,
  type Reading,
  readingName,
} from '../../../../services/core/triggers/rule.ts'
import { compare, E2E_P95, ERROR_RATIO, GPU_MEAN, REQUEST_RATE } from './fixture.ts'

const slow = compare(E2E_P95, 100_000)
const idle = compare(REQUEST_RATE, 10, { direction: 'below' })
const failing = compare(ERROR_RATIO, 0.05)
const all = (...conditions: Condition[]): Condition => ({ kind: 'all', conditions })
const any = (...conditions: Condition[]): Condition => ({ kind: 'any', conditions })
const not = (condition: Condition): Condition => ({ kind: 'not', condition })

describe('core/triggers/rule', () => {
  const names: readonly (readonly [Reading, string])[] = [
    [E2E_P95, 'e2e_us.p95'],
    [REQUEST_RATE, 'requests.rate'],
    [ERROR_RATIO, 'errors/requests'],
    [GPU_MEAN, 'gpu_utilization.mean'],
  ]
  for (const [reading, name] of names) {
    it(`names a reading ${name}`, () => {
      expect(readingName(reading)).to.equal(name)
    })
  }

  const descriptions: readonly (readonly [Condition, string])[] = [
    [slow, 'e2e_us.p95 above 100000'],
    [idle, 'requests.rate below 10'],
    [all(slow, idle), 'e2e_us.p95 above 100000 and requests.rate below 10'],
    [any(slow, idle), 'e2e_us.p95 above 100000 or requests.rate below 10'],
    [not(slow), 'not e2e_us.p95 above 100000'],
    [
      all(any(slow, idle), failing),
      '(e2e_us.p95 above 100000 or requests.rate below 10) and errors/requests above 0.05',
    ],
    [not(all(slow, failing)), 'not (e2e_us.p95 above 100000 and errors/requests above 0.05)'],
    [
      any(not(slow), all(idle, failing)),
      'not e2e_us.p95 above 100000 or (requests.rate below 10 and errors/requests above 0.05)',
    ],
  ]
  for (const [condition, text] of descriptions) {
    it(`says ${JSON.stringify(text)}`, () => {
      expect(describeCondition(condition)).to.equal(text)
    })
  }

  it('offers statistics and counters, each once', () => {
    for (const list of [METRIC_STATS, GAUGE_STATS, COUNTERS]) {
      expect(new Set(list).size).to.equal(list.length)
    }
  })
})
