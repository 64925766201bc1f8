import { expect } from 'chai'
import { NO_PHASES, phasesWith } from '../../../services/collector/phases.ts'

describe('collector/phases', () => {
  it('takes what is said, and 0 for what is not', () => {
    const first = phasesWith(NO_PHASES, { 'lens-guard-validation-us': '1500', other: '1' })
    expect(first).deep.equal({
      security: { validation_us: 1500, threat_detection_us: 0, output_filter_us: 0 },
      speculative: null,
    })
    const second = phasesWith(first, {
      'lens-guard-output-filter-us': '7',
      'lens-guard-validation-us': '1600',
      'lens-speculative-draft-tokens': '40',
      'lens-speculative-accepted-tokens': '31',
    })
    const security = { validation_us: 1600, threat_detection_us: 0, output_filter_us: 7 }
    const others = { draft_us: 0, round_trip_us: 0, verify_us: 0 }
    const speculative = { draft_tokens: 40, accepted_tokens: 31, ...others }
    expect(second).deep.equal({ security, speculative })
  })

  it('takes nothing that is no whole number', () => {
    for (const text of [
      '',
      '-1',
      '1.5',
      '1e3',
      ' 1',
      '0x1',
      'NaN',
      '2147483648',
      '9'.repeat(400),
    ]) {
      expect(phasesWith(NO_PHASES, { 'lens-guard-validation-us': text }), text).deep.equal(
        NO_PHASES,
      )
    }
    expect(phasesWith(NO_PHASES, {})).deep.equal(NO_PHASES)
  })
})
