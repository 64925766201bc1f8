import { expect } from 'chai'
import fc from 'fast-check'
import type { TokenEvents } from '../../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../../schemas/topics.ts'
import type { Codec, Decoder } from '../../../services/bus/codec.ts'
import { createTokenRunDecoder } from '../../../services/bus/token-run-decoder.ts'
import type { TokenRun } from '../../../services/core/measure/token-run.ts'
import { NOON_MS, resourceSample, tokenEvents, wholeRequest } from '../../records.ts'
import {
  anyTokenEvents,
  contentOf,
  evolvedBytes,
  evolvedCodec,
  runOf,
} from './token-run-fixture.ts'

/** No event of the fixture is too far ahead of this. */
const LATE_MS = NOON_MS + 1e9

describe('bus/token-run-decoder', () => {
  let codec: Codec
  let decode: Decoder
  before(async () => {
    codec = await evolvedCodec()
  })
  beforeEach(() => {
    decode = createTokenRunDecoder(codec, TOKEN_EVENTS, 60_000)
  })

  function encode(events: TokenEvents): Uint8Array {
    return codec.encode(TOKEN_EVENTS, events)
  }

  /** What a decoder makes of bytes, copied out of its reused run. */
  function read(bytes: Uint8Array | null, by: Decoder = decode) {
    const { value, bad } = by(bytes, LATE_MS)
    return bad ?? contentOf(value as TokenRun)
  }

  it('reads any record as avsc does', () => {
    const avsc = codec.decoder(TOKEN_EVENTS)
    const property = fc.property(anyTokenEvents, (events) => {
      const bytes = encode(events)
      const { value } = avsc(bytes, LATE_MS)
      expect(read(bytes))
        .to.deep.equal(runOf(value as TokenEvents))
        .and.deep.equal(runOf(events))
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('reads a record of a later schema through the resolver, as the same run', () => {
    const property = fc.property(anyTokenEvents, (events) => {
      expect(read(evolvedBytes(events))).to.deep.equal(runOf(events))
    })
    fc.assert(property, { numRuns: 200 })
  })

  it('gives one labels object for equal labels, whichever schema wrote them', () => {
    const attributes = { team: 'a', tier: 'b' }
    const labelsOf = (bytes: Uint8Array) => (decode(bytes, LATE_MS).value as TokenRun).labels
    const first = labelsOf(encode(tokenEvents({ attributes })))
    expect(labelsOf(encode(wholeRequest({ request_id: 'r-2', attributes })))).to.equal(first)
    expect(labelsOf(evolvedBytes(tokenEvents({ attributes })))).to.equal(first)
    expect(labelsOf(encode(tokenEvents({ attributes, tenant: 't-2' })))).not.to.equal(first)
  })

  it('gives every truncated record back as bad and reads the next one right', () => {
    const property = fc.property(anyTokenEvents, anyTokenEvents, (events, next) => {
      const bytes = encode(events)
      const good = encode(next)
      for (let end = 0; end < bytes.length; end++) {
        const expected = end < 5 ? 'bad_magic' : 'truncated'
        expect(decode(bytes.subarray(0, end), LATE_MS).bad, `${end} bytes`).to.equal(expected)
      }
      expect(read(good)).to.deep.equal(runOf(next))
    })
    fc.assert(property, { numRuns: 40 })
  })

  it('gives every truncated record of a later schema back as bad', () => {
    const bytes = evolvedBytes(wholeRequest({ tokens: [1, 2], attributes: { a: 'b' } }))
    for (let end = 5; end < bytes.length; end++) {
      expect(decode(bytes.subarray(0, end), LATE_MS).bad, `${end} bytes`).to.equal('truncated')
    }
  })

  it('never throws and never keeps anything of a record with flipped bytes', () => {
    const next = tokenEvents({ tokens: [3, 4] })
    const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1 })
    const property = fc.property(anyTokenEvents, flips, (events, all) => {
      const bytes = Uint8Array.from(encode(events))
      for (const [at, mask] of all) bytes[5 + (at % (bytes.length - 5))]! ^= mask
      const { value, bad } = decode(bytes, LATE_MS)
      expect(value === undefined).to.equal(bad !== null)
      expect(read(encode(next))).to.deep.equal(runOf(next))
    })
    fc.assert(property, { numRuns: 1_000 })
  })

  // One that takes a number which avsc refuses would count what the lake can never hold.
  it('takes no record that avsc refuses', () => {
    const avsc = codec.decoder(TOKEN_EVENTS)
    const flip = fc.tuple(anyTokenEvents, fc.nat(), fc.integer({ min: 1, max: 255 }))
    const property = fc.property(flip, ([events, at, mask]) => {
      const bytes = Buffer.from(encode(events))
      bytes[5 + (at % (bytes.length - 5))]! ^= mask
      const run = read(bytes)
      if (typeof run === 'string') return
      const { value, bad } = avsc(bytes, LATE_MS)
      expect(bad).to.equal(null)
      expect(run).to.deep.equal(runOf(value as TokenEvents))
    })
    fc.assert(property, { numRuns: 3_000 })
  })

  it('reads a long run, and a short one after it', () => {
    const gaps_us = Array.from({ length: 20_000 }, (_, i) => i)
    const long = tokenEvents({ gaps_us, tokens: gaps_us })
    expect(read(encode(long))).to.deep.equal(runOf(long))
    const short = tokenEvents({ gaps_us: [1], tokens: [] })
    expect(read(encode(short))).to.deep.equal(runOf(short))
  })

  it('passes on what the codec says of bytes that are no record of the topic', async () => {
    const sample = codec.encode(RESOURCE_SAMPLES, resourceSample())
    const unknown = Buffer.from(encode(tokenEvents()))
    unknown[4] = 99
    await codec.prepare(TOKEN_EVENTS, [sample, unknown])
    expect(read(null)).to.equal('empty')
    expect(read(Buffer.from('{"a":1}'))).to.equal('bad_magic')
    expect(read(Buffer.alloc(2 ** 20 + 1))).to.equal('too_large')
    expect(read(unknown)).to.equal('unknown_schema')
    expect(read(sample)).to.equal('wrong_schema')
    expect(read(Buffer.concat([encode(tokenEvents()), Buffer.of(0)]))).to.equal('invalid_value')
  })
})
