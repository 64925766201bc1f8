import { expect } from 'chai'
import { compare } from './truth.ts'

describe('bench/truth', () => {
  it('measures each chunk of 200 streams with its tokens, and each end, as they were sent', async () => {
    const { chunks, errors } = await compare(2_000)
    expect(chunks).greaterThan(2_000)
    expect(errors).equal(0)
  }).timeout(60_000)
})
