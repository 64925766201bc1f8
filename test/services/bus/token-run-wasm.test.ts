/** What the compiled reader does many at a time, or by hash, beside avsc and one by one. */
import { expect } from 'chai'
import fc from 'fast-check'
import type { TokenEvents } from '../../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { type Codec, type Decoder, HEADER_BYTES } from '../../../services/bus/codec.ts'
import { CODE } from '../../../services/bus/token-run.wasm.ts'
import { createTokenRunDecoder } from '../../../services/bus/token-run-decoder.ts'
import { readRun, type UncheckedRun } from '../../../services/bus/token-run-reader.ts'
import type { TokenRun } from '../../../services/core/measure/token-run.ts'
import { instantiate, type WasmConstant } from '../../../services/core/wasm.ts'
import { NOON_MS, NOON_US, tokenEvents, wholeRequest } from '../../records.ts'
import { contentOf, evolvedCodec, runOf } from './token-run-fixture.ts'

const LATE_MS = NOON_MS + 1e9

/** Of one byte to five. */
const sized = fc
  .constantFrom(2 ** 6, 2 ** 13, 2 ** 20, 2 ** 27, 2 ** 31)
  .chain((end) => fc.nat(end - 1))

/** Mostly of one size, as gaps and counts of tokens are. */
const alike = (length: number) =>
  fc
    .tuple(fc.constantFrom(2 ** 6, 2 ** 13, 2 ** 20), fc.array(fc.tuple(fc.nat(), sized), SIZE))
    .map(([end, all]) => all.map(([n, other]) => (n % 16 === 0 ? other : n % end)))
    .map((all) => Array.from({ length }, (_, i) => all[i % all.length]!))
const SIZE = { minLength: 1, maxLength: 70 }

describe('bus/token-run.wasm', () => {
  let codec: Codec
  let decode: Decoder
  before(async () => {
    codec = await evolvedCodec()
    decode = createTokenRunDecoder(codec, TOKEN_EVENTS, 60_000)
  })

  function read(events: TokenEvents) {
    const { value, bad } = decode(codec.encode(TOKEN_EVENTS, events), LATE_MS)
    return bad ?? contentOf(value as TokenRun)
  }

  it('leaves nothing usual to avsc', () => {
    for (const events of [tokenEvents(), wholeRequest({ attributes: { team: 'a' } })]) {
      expect(readRun(codec.encode(TOKEN_EVENTS, events), {} as UncheckedRun)).equal(true)
    }
  })

  it('reads ints of one byte to five, in any order, as they were written', () => {
    const both = fc.integer({ min: 0, max: 200 }).chain((n) => fc.tuple(alike(n), alike(n)))
    const property = fc.property(both, ([gaps, tokens]) => {
      const long = gaps.findIndex((_, i) => gaps.slice(0, i + 1).reduce((a, b) => a + b) > 3.6e9)
      const gaps_us = long < 0 ? gaps : gaps.slice(0, long)
      const events = tokenEvents({ gaps_us, tokens: tokens.slice(0, gaps_us.length) })
      expect(read(events)).deep.equal(runOf(events))
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('finds the one below zero among any number of others', () => {
    for (let length = 1; length < 40; length++) {
      const ones = Array.from({ length }, () => 1)
      for (let i = 0; i < length; i++) {
        for (const value of [-1, -64, -5_000, -(2 ** 31) + 1]) {
          const some = ones.with(i, value)
          const negative = [
            tokenEvents({ gaps_us: some, tokens: [] }),
            tokenEvents({ gaps_us: ones, tokens: some }),
          ]
          for (const events of negative) expect(read(events)).equal('invalid_value')
        }
      }
      const good = tokenEvents({ gaps_us: ones, tokens: ones })
      expect(read(good)).deep.equal(runOf(good))
    }
  })

  it('tells labels apart whose bytes have the same hash', () => {
    const wasm = instantiate<{
      RECORD: WasmConstant
      hash: WasmConstant
      read(start: number, size: number): number
    }>(CODE)
    const record = new Uint8Array(wasm.memory.buffer, wasm.RECORD.value)
    const eventsOf = (tenant: number) =>
      tokenEvents({ started_at: NOON_US, tenant: `t-${tenant}`, gaps_us: [1], tokens: [] })
    const seen = new Map<number, number>()
    let pair: [number, number] | null = null
    for (let i = 0; pair === null; i++) {
      const bytes = codec.encode(TOKEN_EVENTS, eventsOf(i))
      record.set(bytes)
      expect(wasm.read(HEADER_BYTES, bytes.length)).equal(1)
      const other = seen.get(wasm.hash.value)
      if (other !== undefined) pair = [other, i]
      seen.set(wasm.hash.value, i)
    }
    for (const tenant of [...pair, ...pair]) {
      const { value } = decode(codec.encode(TOKEN_EVENTS, eventsOf(tenant)), LATE_MS)
      expect((value as TokenRun).labels.tenant).equal(`t-${tenant}`)
    }
  }).timeout(60_000)

  it('forgets labels when they are too many, and finds those that come after', () => {
    for (let i = 0; i < 140_000; i++) {
      const tenant = `tenant-${i % 70_000}`
      const { value } = decode(codec.encode(TOKEN_EVENTS, tokenEvents({ tenant })), LATE_MS)
      if ((value as TokenRun).labels.tenant !== tenant) expect.fail(`${i} has other labels`)
    }
  }).timeout(60_000)
})
