import { expect } from 'chai'
import type { ResourceSample } from '../../../schemas/records.ts'
import { RESOURCE_SAMPLES } from '../../../schemas/topics.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { createSampleDecoder } from '../../../services/bus/sample-decoder.ts'
import { NOON_MS, NOON_US, resourceSample } from '../../records.ts'

describe('bus/sample-decoder', () => {
  let codec: Codec
  before(async () => {
    codec = await createCodec(createFileRegistry(readSchemas()), () => 0)
  })

  function verdict(more: Partial<ResourceSample>) {
    const sample = { ...resourceSample(), at: NOON_US, ...more }
    const decode = createSampleDecoder(codec, RESOURCE_SAMPLES, 60_000)
    return decode(codec.encode(RESOURCE_SAMPLES, sample), NOON_MS).bad
  }

  it('refuses labels of more than 16 KiB together, and takes the next sample', () => {
    const blank = { endpoint: '', model: '', region: '', attributes: {} }
    for (const name of ['endpoint', 'model', 'region'] as const) {
      expect(verdict({ ...blank, [name]: 'x'.repeat(16_385) }), name).to.equal('invalid_value')
      expect(verdict({ ...blank, [name]: 'x'.repeat(16_384) }), name).to.equal(null)
    }
    const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`name${i}`, 'value']))
    expect(verdict({ ...blank, attributes: many })).to.equal('invalid_value')
    expect(verdict({})).to.equal(null)
  })

  it('refuses a name without letters or of more than 128', () => {
    expect(verdict({ name: '' })).to.equal('invalid_value')
    expect(verdict({ name: 'x'.repeat(129) })).to.equal('invalid_value')
    expect(verdict({ name: 'x'.repeat(128) })).to.equal(null)
  })
})
