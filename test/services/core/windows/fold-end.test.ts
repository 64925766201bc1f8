import { expect } from 'chai'
import type { RequestEnd } from '../../../../schemas/records.ts'
import { createAggregate, mergeAggregate } from '../../../../services/core/windows/slice.ts'
import { NOON_US, requestEnd, sliceRecord, tokenEvents } from '../../../records.ts'
import { foldAll, type Seen, seenIn } from './runs.ts'

/** What the end alone adds: of a record without chunks that comes 900 ms after the send. */
function seenOfEnd(end: Partial<RequestEnd>): Seen {
  const record = tokenEvents({
    first_chunk: 5,
    elapsed_us: 900_000,
    gaps_us: [],
    end: requestEnd({ duration_us: 1_000_000, ttft_us: 100_000, chunks: 5, ...end }),
  })
  return seenIn(record)[0]!
}

describe('core/windows/fold: end of a request', () => {
  it('counts the request with its chunks and tokens', () => {
    expect(seenOfEnd({ input_tokens: 30, output_tokens: 9, first_chunk_tokens: 1 })).to.deep.equal({
      requests: 1,
      chunks: 5,
      input_tokens: 30,
      output_tokens: 9,
      e2e_us: [1, 900_000, 900_000, 900_000],
      tpot_us: [1, 100_000, 100_000, 100_000],
    })
  })

  it('takes e2e to the last chunk, not to the close of the stream', () => {
    expect(seenOfEnd({ duration_us: 5_000_000 }).e2e_us).to.deep.equal([
      1, 900_000, 900_000, 900_000,
    ])
  })

  for (const status of ['error', 'cancelled', 'truncated'] as const) {
    it(`has neither e2e nor tpot for a request that ended ${status}`, () => {
      const seen = seenOfEnd({ status, output_tokens: 9 })
      expect(seen).not.to.have.any.keys('e2e_us', 'tpot_us')
      expect(seen).to.include({ requests: 1, chunks: 5, input_tokens: 10, output_tokens: 9 })
    })
  }

  const withoutTpot: readonly (readonly [string, Partial<RequestEnd>])[] = [
    ['of one chunk', { chunks: 1, output_tokens: 9 }],
    ['with unknown output tokens', { output_tokens: null }],
    [
      'with unknown output tokens and none in the first chunk',
      { output_tokens: null, first_chunk_tokens: 0 },
    ],
    ['whose tokens all came in the first chunk', { output_tokens: 4, first_chunk_tokens: 4 }],
    ['whose count of tokens is below its first chunk', { output_tokens: 3, first_chunk_tokens: 4 }],
    ['without a time of the first chunk', { output_tokens: 9, ttft_us: null }],
  ]
  for (const [name, end] of withoutTpot) {
    it(`has e2e but no tpot for a request ${name}`, () => {
      const seen = seenOfEnd(end)
      expect(seen).not.to.have.property('tpot_us')
      expect(seen.e2e_us).to.deep.equal([1, 900_000, 900_000, 900_000])
    })
  }

  it('rounds tpot to the nearest microsecond, over the tokens after the first chunk', () => {
    const tpot = (output_tokens: number, first_chunk_tokens: number) =>
      seenOfEnd({ ttft_us: 899_900, output_tokens, first_chunk_tokens }).tpot_us
    expect(tpot(5, 2)).to.deep.equal([1, 33, 33, 33])
    expect(tpot(6, 0)).to.deep.equal([1, 17, 17, 17])
    expect(tpot(10, 2)).to.deep.equal([1, 13, 13, 13])
  })

  it('has no times for a request without output, but counts it', () => {
    const end = requestEnd({ duration_us: 1, ttft_us: null, chunks: 0, output_tokens: 0 })
    expect(seenIn(tokenEvents({ gaps_us: [], end }))).to.deep.equal({
      0: { requests: 1, input_tokens: 10 },
    })
  })

  it('puts an end that is in a later slice than the last chunk there', () => {
    const end = requestEnd({ duration_us: 10_000_000 })
    const seen = seenIn(tokenEvents({ end }))
    expect(seen[0]).not.to.have.any.keys('requests', 'e2e_us', 'tpot_us')
    expect(seen[10]).to.deep.equal({
      requests: 1,
      chunks: 2,
      input_tokens: 10,
      output_tokens: 2,
      e2e_us: [1, 220_000, 220_000, 220_000],
      tpot_us: [1, 20_000, 20_000, 20_000],
    })
  })
})

describe('core/windows/fold: failures', () => {
  const failures: readonly (readonly [Partial<RequestEnd>, Seen])[] = [
    [
      { status: 'error', error_type: 'http_429' },
      { errors: 1, errors_by_type: { http_429: 1 } },
    ],
    [
      { status: 'error', error_type: '' },
      { errors: 1, errors_by_type: { error: 1 } },
    ],
    [
      { status: 'truncated', error_type: '' },
      { errors: 1, errors_by_type: { truncated: 1 } },
    ],
    [
      { status: 'truncated', error_type: 'eof' },
      { errors: 1, errors_by_type: { eof: 1 } },
    ],
    [{ status: 'cancelled', error_type: 'user' }, { cancelled: 1 }],
    [{ status: 'ok', error_type: 'stale' }, {}],
  ]
  for (const [end, want] of failures) {
    it(`counts ${JSON.stringify(end)} as ${JSON.stringify(want)}`, () => {
      const { errors, cancelled, errors_by_type } = seenOfEnd(end)
      expect({ errors, cancelled, errors_by_type }).to.deep.equal({
        errors: undefined,
        cancelled: undefined,
        errors_by_type: undefined,
        ...want,
      })
    })
  }

  it('counts unknown tokens as none', () => {
    expect(seenOfEnd({ input_tokens: null, output_tokens: null })).not.to.have.any.keys(
      'input_tokens',
      'output_tokens',
    )
  })
})

describe('core/windows/fold: queue and guard', () => {
  it('takes queue from the intended send, for any request', () => {
    for (const status of ['ok', 'error', 'cancelled', 'truncated'] as const) {
      const seen = seenOfEnd({ status, intended_at: NOON_US - 7_000 })
      expect(seen.queue_us).to.deep.equal([1, 7_000, 7_000, 7_000])
    }
  })

  it('takes 0 for a request that was sent early, and nothing when no send was intended', () => {
    expect(seenOfEnd({ intended_at: NOON_US + 1 }).queue_us).to.deep.equal([1, 0, 0, 0])
    expect(seenOfEnd({ intended_at: null })).not.to.have.property('queue_us')
  })

  const security = { validation_us: 1_000, threat_detection_us: 200_000, output_filter_us: 49_000 }

  it('adds the phases of the guard, and takes their share of the duration in 2^-20', () => {
    const seen = seenOfEnd({ status: 'error', security })
    const quarter = 2 ** 18
    expect(seen.guard_us).to.deep.equal([1, 250_000, 250_000, 250_000])
    expect(seen.guard_share).to.deep.equal([1, quarter, quarter, quarter])
  })

  it('has no share of a request without duration, and no guard without phases', () => {
    expect(seenOfEnd({ security, duration_us: 0 })).to.have.property('guard_us')
    expect(seenOfEnd({ security, duration_us: 0 })).not.to.have.property('guard_share')
    expect(seenOfEnd({ security: null })).not.to.have.any.keys('guard_us', 'guard_share')
  })

  it('can be merged whatever the phases are: the largest guard in the shortest request', () => {
    const longest = { validation_us: 2 ** 38, threat_detection_us: 0, output_filter_us: 0 }
    const end = requestEnd({ security: longest, duration_us: 1 })
    const merged = createAggregate()
    for (const slice of foldAll([tokenEvents({ end })]).values()) mergeAggregate(merged, slice)
    const longs = sliceRecord(0, merged).metrics.flatMap(({ counts, ...rest }) =>
      Object.values(rest),
    )
    expect(longs.filter((long) => !Number.isSafeInteger(long))).to.deep.equal([])
  })
})
