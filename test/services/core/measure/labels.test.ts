import { expect } from 'chai'
import { dimensionValue } from '../../../../services/core/measure/labels.ts'
import { tokenEvents } from '../../../records.ts'

const labels = tokenEvents({
  provider: 'vllm',
  model: 'llama',
  endpoint: 'gpu-1',
  region: 'eu',
  tenant: '',
  attributes: { team: 'search', model: 'shadowed', tenant: 'shadowed', empty: '' },
})

describe('core/measure/labels', () => {
  const values: readonly (readonly [string, string])[] = [
    ['model', 'llama'],
    ['endpoint', 'gpu-1'],
    ['region', 'eu'],
    ['provider', 'vllm'],
    ['team', 'search'],
  ]
  for (const [dimension, value] of values) {
    it(`reads ${dimension} from the request`, () => {
      expect(dimensionValue(labels, dimension)).to.equal(value)
    })
  }

  it('leaves a named label empty, not filled from an attribute of its name', () => {
    expect(dimensionValue(labels, 'tenant')).to.equal('')
  })

  it('gives the empty value for an attribute that is not there', () => {
    expect([dimensionValue(labels, 'colour'), dimensionValue(labels, 'empty')]).to.deep.equal([
      '',
      '',
    ])
  })

  for (const dimension of ['constructor', 'toString', '__proto__', 'request_id']) {
    it(`does not take ${dimension} for a label`, () => {
      expect(dimensionValue(labels, dimension)).to.equal('')
    })
  }
})
