import { expect } from 'chai'
import { assert, LensError } from '../../../services/core/errors.ts'

describe('core/errors', () => {
  it('carries the code, and is not to be retried unless told so', () => {
    const error = new LensError('topic_missing', 'no topic lens.x')
    expect(error).to.be.instanceOf(Error)
    expect([error.name, error.code, error.message, error.retryable]).to.deep.equal([
      'LensError',
      'topic_missing',
      'no topic lens.x',
      false,
    ])
    expect(Object.hasOwn(error, 'cause')).to.equal(false)
  })

  it('keeps its cause and whether it may be retried', () => {
    const cause = new Error('connection refused')
    const error = new LensError('broker_unavailable', 'no broker', { retryable: true, cause })
    expect([error.retryable, error.cause]).to.deep.equal([true, cause])
  })

  it('throws on a broken invariant as a bug, not as a LensError', () => {
    assert(true, 'holds')
    expect(() => assert(false, 'the sum has shrunk')).to.throw(Error, 'bug: the sum has shrunk')
    expect(() => assert(false, 'x')).not.to.throw(LensError)
  })
})
