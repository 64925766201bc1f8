import { expect } from 'chai'
import { attemptOf } from '../../../services/collector/headers.ts'

describe('collector/headers', () => {
  it('knows a repeated send by what clients and gateways say', () => {
    const cases: readonly [Record<string, string>, number][] = [
      [{}, 1],
      [{ 'x-stainless-retry-count': '0' }, 1],
      [{ 'x-stainless-retry-count': '2' }, 3],
      [{ 'x-envoy-attempt-count': '1' }, 1],
      [{ 'x-envoy-attempt-count': '2' }, 2],
      [{ 'x-stainless-retry-count': 'many' }, 1],
      [{ 'x-stainless-retry-count': '-1', 'x-envoy-attempt-count': '4' }, 4],
      [{ 'x-stainless-retry-count': '1e9' }, 1],
      [{ 'x-envoy-attempt-count': '' }, 1],
      [{ 'x-stainless-retry-count': '0', 'x-envoy-attempt-count': '2' }, 2],
    ]
    for (const [headers, attempt] of cases) {
      expect(attemptOf(headers), JSON.stringify(headers)).equal(attempt)
    }
  })
})
