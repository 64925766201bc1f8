import { expect } from 'chai'
import type { Cell } from '../../../services/formats/column.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { requestEnd, T0_MS, tokenEvents } from './records.ts'
import { rowOf } from './row-of.ts'

describe('formats/requests-dataset', () => {
  const requests = datasetNamed('requests')

  it('is a row for the last record of a request only, at the time of its end', () => {
    expect(requests.keeps(tokenEvents())).to.equal(true)
    expect(requests.keeps(tokenEvents({ end: null }))).to.equal(false)
    expect(requests.eventUs(tokenEvents())).to.equal(T0_MS * 1000 + 260_000)
  })

  it('says what a request measured', () => {
    expect(rowOf('requests', tokenEvents())).to.deep.include({
      request_id: 'r-1',
      started_at: T0_MS * 1000,
      ended_at: T0_MS * 1000 + 260_000,
      status: 'ok',
      ttft_us: 100_000,
      e2e_us: 220_003,
      tpot_us: 30_001,
      duration_us: 260_000,
      chunks: 3,
      output_tokens: 5,
      kafka_partition: 3,
      kafka_offset: 41,
    })
  })

  it('measures a long request by its last record alone', () => {
    const last = tokenEvents({ first_chunk: 100, elapsed_us: 9_000_000, gaps_us: [10, 20] })
    expect(rowOf('requests', last).e2e_us).to.equal(9_000_030)
  })

  it('leaves null what is missing', () => {
    const row = rowOf('requests', tokenEvents())
    const missing = [
      'error_type',
      'queue_us',
      'cached_tokens',
      'reasoning_tokens',
      'cost_usd',
      'security_validation_us',
      'speculative_draft_tokens',
    ]
    for (const name of missing) expect(row[name], name).to.equal(null)
    expect(row.attributes).to.equal('{}')
    expect(row.quality).to.deep.equal([])
  })

  it('has no e2e and no tpot for a request that did not end ok, but its ttft', () => {
    for (const status of ['error', 'cancelled', 'truncated'] as const) {
      const row = rowOf('requests', tokenEvents({ end: requestEnd({ status }) }))
      expect(row).to.deep.include({ status, ttft_us: 100_000, e2e_us: null, tpot_us: null })
    }
  })

  it('has no measure of output for a request without any', () => {
    const end = requestEnd({ chunks: 0, ttft_us: null, output_tokens: 0 })
    const row = rowOf('requests', tokenEvents({ gaps_us: [], end }))
    expect(row).to.deep.include({ ttft_us: null, e2e_us: null, tpot_us: null, chunks: 0 })
  })

  it('has no tpot for one chunk, for unknown tokens, and when the first chunk had them all', () => {
    for (const over of [{ chunks: 1 }, { output_tokens: null }, { output_tokens: 1 }]) {
      const row = rowOf('requests', tokenEvents({ end: requestEnd(over) }))
      expect(row.tpot_us, JSON.stringify(over)).to.equal(null)
      expect(row.e2e_us, JSON.stringify(over)).to.equal(220_003)
    }
  })

  it('queues a request from when it was meant to be sent, and never for less than nothing', () => {
    const meant = (atUs: number): Cell =>
      rowOf('requests', tokenEvents({ end: requestEnd({ intended_at: atUs }) })).queue_us!
    expect(meant(T0_MS * 1000 - 5)).to.equal(5)
    expect(meant(T0_MS * 1000 + 5)).to.equal(0)
  })

  it('flattens guard and speculation', () => {
    const security = { validation_us: 1, threat_detection_us: 2, output_filter_us: 3 }
    const speculative = {
      draft_tokens: 4,
      accepted_tokens: 3,
      draft_us: 5,
      round_trip_us: 6,
      verify_us: 7,
    }
    const row = rowOf('requests', tokenEvents({ end: requestEnd({ security, speculative }) }))
    expect(row).to.deep.include({
      security_validation_us: 1,
      security_threat_detection_us: 2,
      security_output_filter_us: 3,
      speculative_draft_tokens: 4,
      speculative_accepted_tokens: 3,
      speculative_draft_us: 5,
      speculative_round_trip_us: 6,
      speculative_verify_us: 7,
    })
  })

  it('writes equal attributes as equal texts', () => {
    const text = (attributes: Record<string, string>): Cell =>
      rowOf('requests', tokenEvents({ attributes })).attributes!
    expect(text({ b: '1', a: '2' })).to.equal(text({ a: '2', b: '1' }))
  })
})
