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
import { NOON_MS, tokenEvents } from '../../records.ts'
import { anyTokenEvents, contentOf, evolvedCodec, runOf } from './token-run-fixture.ts'

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

interface Exports extends Readonly<Record<'RECORD' | 'INTS' | 'hash', WasmConstant>> {
  read(start: number, size: number): number
  addLabels(): number
}

function replaced(bytes: Buffer, from: readonly number[], to: readonly number[]): Buffer {
  const at = bytes.indexOf(Buffer.from(from))
  expect(at).greaterThan(0)
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(to), bytes.subarray(at + from.length)])
}

describe('bus/token-run.wasm', () => {
  let codec: Codec
  let decode: Decoder
  before(async () => {
    codec = await evolvedCodec()
    decode = createTokenRunDecoder(codec, TOKEN_EVENTS, 60_000)
  })

  /** As the decoder does, which must not have to ask avsc. */
  function read(events: TokenEvents) {
    const bytes = codec.encode(TOKEN_EVENTS, events)
    expect(isPlain(bytes)).equal(true)
    const { value, bad } = decode(bytes, LATE_MS)
    return bad ?? contentOf(value as TokenRun)
  }

  function isPlain(bytes: Uint8Array): boolean {
    return readRun(bytes, {} as UncheckedRun)
  }

  it('leaves nothing usual to avsc', () => {
    const property = fc.property(anyTokenEvents, (events) => {
      expect(read(events)).deep.equal(runOf(events))
    })
    fc.assert(property, { numRuns: 300 })
  })

  it('reads blocks with their sizes, and leaves those with others to avsc', () => {
    const events = tokenEvents({ gaps_us: [1, 2, 3], tokens: [], attributes: { a: 'b' } })
    const bytes = Buffer.from(codec.encode(TOKEN_EVENTS, events))
    const gaps = [6, 2, 4, 6, 0]
    const entries = [2, 2, 0x61, 2, 0x62, 0]
    const sized = replaced(replaced(bytes, gaps, [5, 6, 2, 4, 6, 0]), entries, [
      1,
      8,
      ...entries.slice(1),
    ])
    expect(isPlain(sized)).equal(true)
    expect(contentOf(decode(sized, LATE_MS).value as TokenRun)).deep.equal(runOf(events))
    for (const size of [4, 8]) {
      const wrong = replaced(bytes, gaps, [5, size, 2, 4, 6, 0])
      expect(isPlain(wrong)).equal(false)
      expect(decode(wrong, LATE_MS).bad).equal('invalid_value')
    }
  })

  it('leaves longs to avsc that it writes or reads otherwise', () => {
    for (const at of [2 ** 52 - 1, 2 ** 52]) {
      const bytes = codec.encode(TOKEN_EVENTS, tokenEvents({ started_at: at }))
      expect(isPlain(bytes)).equal(at < 2 ** 52)
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
    const wasm = instantiate<Exports>(CODE)
    const record = new Uint8Array(wasm.memory.buffer, wasm.RECORD.value)
    const number = new Int32Array(wasm.memory.buffer, wasm.INTS.value, 1)
    const find = (tenant: number) => {
      const bytes = codec.encode(TOKEN_EVENTS, tokenEvents({ tenant: `t-${tenant}` }))
      record.set(bytes)
      expect(wasm.read(HEADER_BYTES, bytes.length)).equal(1)
      return number[0]!
    }
    const seen = new Map<number, number>()
    let pair: [number, number] | null = null
    for (let i = 0; pair === null; i++) {
      find(i)
      const other = seen.get(wasm.hash.value)
      if (other !== undefined) pair = [other, i]
      seen.set(wasm.hash.value, i)
    }
    for (const [i, tenant] of pair.entries()) {
      expect(find(tenant)).equal(-1)
      expect(wasm.addLabels()).equal(i)
    }
    expect(pair.map(find)).deep.equal([0, 1])
  }).timeout(60_000)

  it('leaves labels to avsc that somebody made to share one hash', () => {
    const tenant = 'a'.repeat(400)
    const bytes = codec.encode(TOKEN_EVENTS, tokenEvents({ tenant }))
    const labels = Buffer.from(bytes).indexOf('vllm') - 1
    const first = labels + 16 * Math.ceil((Buffer.from(bytes).indexOf('aaaa') - labels) / 16)
    const plain = Array.from({ length: 600 }, (_, n) => {
      const one = Uint8Array.from(bytes)
      for (let bit = 0; bit < 10; bit++) {
        if ((n >> bit) % 2 === 0) continue
        // What the highest bit of a word does to the hash, bits 63 and 31 of the next but one undo.
        for (const at of [7, 16 + 3, 16 + 7]) one[first + 32 * bit + at]! ^= 0x80
      }
      expect(decode(one, LATE_MS).bad).equal(null)
      return isPlain(one)
    })
    expect(plain.filter(Boolean).length).greaterThan(200).and.lessThan(300)
    expect(read(tokenEvents())).deep.equal(runOf(tokenEvents()))
  })

  it('forgets labels when they are too many, and finds those that come after', () => {
    for (let i = 0; i < 140_000; i++) {
      const tenant = `tenant-${i % 70_000}`
      const { value } = decode(codec.encode(TOKEN_EVENTS, tokenEvents({ tenant })), LATE_MS)
      if ((value as TokenRun).labels.tenant !== tenant) expect.fail(`${i} has other labels`)
    }
  }).timeout(60_000)
})
