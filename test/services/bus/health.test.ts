import { expect } from 'chai'
import { createHealth } from '../../../services/bus/health.ts'
import { countedBy } from './forgotten.ts'

describe('bus/health', () => {
  it('counts by series, two hundred of them, and the others as one', async () => {
    const counts = await countedBy('latency_lens.events', 'series', () => {
      const health = createHealth('statistics')
      for (let i = 0; i < 250; i++) health.count('too_late_slice', 2, `s-${i}`)
      health.count('too_late_slice', 1, 's-0')
      health.count('too_late_slice', 0, 's-1')
      expect(health.totals()).deep.equal({ too_late_slice: 501 })
    })
    expect(Object.keys(counts)).length(201)
    expect(counts).include({ 's-0': 3, 's-199': 2, __other__: 100 })
  })

  it('names no series when there is none', async () => {
    const counts = await countedBy('latency_lens.events', 'series', () => {
      createHealth('statistics').count('range', 1)
    })
    expect(counts).deep.equal({ undefined: 1 })
  })
})
