import { expect } from 'chai'
import type { RequestEnd, TokenEvents } from '../../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import type { Codec } from '../../../services/bus/codec.ts'
import { createTokenRunDecoder } from '../../../services/bus/token-run-decoder.ts'
import { NOON_MS, NOON_US, requestEnd, tokenEvents, wholeRequest } from '../../records.ts'
import { avroType, schemaNamed } from './avro-arbitrary.ts'
import { evolvedBytes, evolvedCodec } from './token-run-fixture.ts'

const DAY_US = 86_400e6
const VALUE_MAX = 2 ** 40
const HOUR_US = 3_600e6
const YEARS_AGO = { started_at: NOON_US - 1_000 * DAY_US }

/** Ints of any size, as a producer with a schema of its own making writes them. */
const wide = avroType(
  JSON.parse(JSON.stringify(schemaNamed('token-events').json).replaceAll('"int"', '"long"')),
)

describe('bus/token-run-decoder, limits', () => {
  let codec: Codec
  before(async () => {
    codec = await evolvedCodec()
  })

  /** The verdict on a record, which is the same through the resolver. */
  function verdict(events: TokenEvents, appendMs = NOON_MS) {
    const decode = createTokenRunDecoder(codec, TOKEN_EVENTS, 60_000)
    const { bad } = decode(codec.encode(TOKEN_EVENTS, events), appendMs)
    expect(decode(evolvedBytes(events), appendMs).bad, 'through the resolver').to.equal(bad)
    return bad
  }

  function endVerdict(more: Partial<RequestEnd>, events: Partial<TokenEvents> = {}) {
    return verdict(tokenEvents({ ...YEARS_AGO, ...events, end: requestEnd(more) }))
  }

  it('refuses times and counts below zero', () => {
    expect(verdict(tokenEvents({ gaps_us: [200_000, -1] }))).to.equal('invalid_value')
    expect(verdict(tokenEvents({ tokens: [1, -1] }))).to.equal('invalid_value')
    expect(verdict(tokenEvents({ started_at: -1 }))).to.equal('invalid_value')
    expect(verdict(tokenEvents({ first_chunk: -1 }))).to.equal('invalid_value')
    expect(verdict(tokenEvents({ first_chunk: 1, elapsed_us: -1 }))).to.equal('invalid_value')
    const counts = ['chunks', 'first_chunk_tokens', 'input_tokens', 'output_tokens']
    for (const name of ['duration_us', 'ttft_us', ...counts]) {
      expect(endVerdict({ [name]: -1 }), name).to.equal('invalid_value')
      expect(endVerdict({ [name]: 0 }), name).to.equal(null)
    }
    const security = { validation_us: 1, threat_detection_us: 1, output_filter_us: 1 }
    expect(endVerdict({ security })).to.equal(null)
    for (const name of Object.keys(security)) {
      expect(endVerdict({ security: { ...security, [name]: -1 } }), name).to.equal('invalid_value')
    }
  })

  it('refuses as many token counts as there are no chunks for', () => {
    expect(verdict(tokenEvents({ tokens: [1] }))).to.equal('invalid_value')
    expect(verdict(tokenEvents({ tokens: [1, 1, 1] }))).to.equal('invalid_value')
    expect(verdict(tokenEvents({ gaps_us: [], tokens: [1] }))).to.equal('invalid_value')
    expect(verdict(tokenEvents({ tokens: [0, 1] }))).to.equal(null)
    expect(verdict(tokenEvents({ gaps_us: [] }))).to.equal(null)
  })

  it('refuses a first chunk that does not begin at the send', () => {
    expect(verdict(tokenEvents({ elapsed_us: 1 }))).to.equal('invalid_value')
    expect(verdict(tokenEvents({ elapsed_us: 1, first_chunk: 1 }))).to.equal(null)
    expect(verdict(tokenEvents({ elapsed_us: 1, gaps_us: [] }))).to.equal(null)
  })

  it('refuses durations that no histogram holds', () => {
    const late = (elapsed_us: number) =>
      verdict(tokenEvents({ ...YEARS_AGO, first_chunk: 9, elapsed_us, gaps_us: [1] }))
    expect(late(VALUE_MAX - 1)).to.equal(null)
    expect(late(VALUE_MAX)).to.equal('invalid_value')
    expect(late(2 ** 52)).to.equal('invalid_value')
    for (const name of ['duration_us', 'ttft_us']) {
      expect(endVerdict({ [name]: VALUE_MAX }), name).to.equal('invalid_value')
      expect(endVerdict({ [name]: 2 ** 52 }), name).to.equal('invalid_value')
    }
    expect(endVerdict({ duration_us: VALUE_MAX / 4 })).to.equal(null)
    const intended_at = YEARS_AGO.started_at - VALUE_MAX
    expect(endVerdict({ intended_at })).to.equal(null)
    expect(endVerdict({ intended_at: intended_at - 1 })).to.equal('invalid_value')
  })

  it('refuses a record whose chunks lie more than an hour apart, but not a longer request', () => {
    const spread = (more: number, elapsed_us = 0) =>
      verdict(
        tokenEvents({
          ...YEARS_AGO,
          first_chunk: 1,
          elapsed_us,
          gaps_us: [HOUR_US / 2, HOUR_US / 2 + more],
        }),
      )
    expect(spread(0)).to.equal(null)
    expect(spread(0, DAY_US)).to.equal(null)
    expect(spread(1)).to.equal('invalid_value')
  })

  it('refuses labels of more than 16 KiB and a class of error of more than 128 characters', () => {
    const labelled = (bytes: number) => verdict(tokenEvents({ model: 'm'.repeat(bytes) }))
    expect(labelled(16_000)).to.equal(null)
    expect(labelled(17_000)).to.equal('invalid_value')
    expect(endVerdict({ error_type: 'e'.repeat(128) })).to.equal(null)
    expect(endVerdict({ error_type: 'e'.repeat(129) })).to.equal('invalid_value')
  })

  it('refuses a first token after the last one', () => {
    expect(endVerdict({ ttft_us: 220_001 })).to.equal('invalid_value')
    expect(endVerdict({ ttft_us: 220_000 })).to.equal(null)
    expect(endVerdict({ ttft_us: null, chunks: 0 }, { gaps_us: [] })).to.equal(null)
  })

  it('refuses an event more than a minute ahead of its append', () => {
    const atMs = (ms: number) => verdict(tokenEvents({ gaps_us: [1_000] }), ms)
    expect(atMs(NOON_MS - 60_000 + 1)).to.equal(null)
    expect(atMs(NOON_MS - 60_000)).to.equal('future_time')
    const ended = wholeRequest({}, { duration_us: 90e6 })
    expect(verdict(ended, NOON_MS)).to.equal('future_time')
    expect(verdict(ended, NOON_MS + 30_000)).to.equal(null)
    expect(verdict(tokenEvents({ started_at: 2 ** 53 - 2 }))).to.equal('future_time')
  })

  // avsc writes none of these, others may. Two of them make a sum that no slice can be encoded
  // with, so that every restart of windowing ends at the same place.
  it('refuses an int of more than 32 bits', () => {
    const decode = createTokenRunDecoder(codec, TOKEN_EVENTS, 60_000)
    const header = codec.encode(TOKEN_EVENTS, tokenEvents()).subarray(0, 5)
    const speculative = { draft_us: 1, round_trip_us: 1, verify_us: 1, accepted_tokens: 1 }
    for (const big of [2 ** 31, 2 ** 52]) {
      const ends: Partial<RequestEnd>[] = [
        { output_tokens: big },
        { input_tokens: big },
        { cached_tokens: big },
        { reasoning_tokens: big },
        { chunks: big },
        { first_chunk_tokens: big },
        { attempts: big },
        { speculative: { ...speculative, draft_tokens: big } },
      ]
      const records = [
        tokenEvents({ first_chunk: big }),
        ...ends.map((end) => wholeRequest({}, end)),
      ]
      for (const record of records) {
        const bytes = Buffer.concat([header, wide.toBuffer(record)])
        const name = JSON.stringify(record.end ?? record.first_chunk)
        expect(decode(bytes, NOON_MS + 60_000).bad, name).to.equal('invalid_value')
      }
    }
  })
})
