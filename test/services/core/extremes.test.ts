import { expect } from 'chai'
import { greatest, least } from '../../../services/core/extremes.ts'

describe('core/extremes', () => {
  it('finds the smallest and the largest value, wherever it stands', () => {
    for (const values of [[3, -1, 2], [-1, 2, 3], [2, 3, -1], new Set([3, 2, -1])]) {
      expect([least(values), greatest(values)]).to.deep.equal([-1, 3])
    }
  })

  it('gives Infinity and -Infinity of no values', () => {
    expect([least([]), greatest([])]).to.deep.equal([Infinity, -Infinity])
  })

  it('takes more values than a call takes arguments', () => {
    const many = Array.from({ length: 500_000 }, (_, i) => i)
    expect([least(many), greatest(many)]).to.deep.equal([0, 499_999])
  })
})
