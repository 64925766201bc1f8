import { expect } from 'chai'
import { connectionErrorType, wordOf } from '../../../services/collector/error-type.ts'

describe('collector/error-type', () => {
  it('makes labels of words only, so that no text of a prompt becomes one', () => {
    expect(wordOf('Rate-Limit.Exceeded')).to.equal('rate_limit_exceeded')
    expect(wordOf('x'.repeat(64))).to.have.length(48)
    for (const value of ['', 'two words', 'é', 'x'.repeat(65), 3, null, undefined, {}]) {
      expect(wordOf(value)).to.equal(null)
    }
  })

  it('classes what Node says about a connection', () => {
    const types = ['ECONNREFUSED', 'EPIPE', 'ENOTFOUND', 'ETIMEDOUT', 'CERT_HAS_EXPIRED', 'EODD']
    expect(types.map((code) => connectionErrorType({ code }))).to.deep.equal([
      'connection_refused',
      'connection_reset',
      'name_not_found',
      'timeout',
      'tls_failed',
      'connection_failed',
    ])
    expect(connectionErrorType(null)).to.equal('connection_failed')
  })
})
