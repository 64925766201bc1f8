import { expect } from 'chai'
import type { RequestEnd, TokenEvents } from '../../schemas/records.ts'
import { DIALECTS, dialectOf } from '../../services/collector/dialect/table.ts'
import { createRandom } from '../../services/core/random.ts'
import { type Golden, goldenStreams, measure, type Read, readsOf } from './streams.ts'

const golden = goldenStreams()

/** An end of which nothing is to be told but its status and duration. */
const USUAL: Partial<RequestEnd> = {
  error_type: '',
  finish_reason: '',
  ttft_us: null,
  first_chunk_tokens: 1,
  chunks: 0,
  intended_at: null,
  input_tokens: null,
  output_tokens: null,
  cached_tokens: null,
  reasoning_tokens: null,
  attempts: 1,
  cost_usd: null,
  security: null,
  speculative: null,
  quality: [],
}

function told([record]: readonly TokenEvents[], faults: Readonly<Record<string, number>>) {
  const { model, gaps_us, tokens, token_source, end } = record!
  const odd = Object.keys(faults).length > 0 ? { faults } : {}
  const unusual = Object.entries(end!).filter(([name, value]) => {
    return JSON.stringify(value) !== JSON.stringify(USUAL[name as keyof RequestEnd])
  })
  return { model, gaps_us, tokens, token_source, end: Object.fromEntries(unusual), ...odd }
}

/** The bytes of all reads, read in other pieces. */
function splitAnew(reads: readonly Read[], seed: number): readonly Read[] {
  const random = createRandom(seed)
  const bytes = Buffer.concat(reads.map(([, part]) => part))
  const cuts = Array.from({ length: 1 + Math.floor(random() * 40) }, () =>
    Math.floor(random() * (bytes.length + 1)),
  )
  const places = [0, ...cuts.sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((to, i) => [(i + 1) * 1000, bytes.subarray(places[i], to)])
}

function byteByByte(reads: readonly Read[]): readonly Read[] {
  const bytes = Buffer.concat(reads.map(([, part]) => part))
  return Array.from(bytes, (_, i) => [i * 1000, bytes.subarray(i, i + 1)])
}

/** What does not depend on when the bytes came. */
function timeless({ stream }: Golden, reads: readonly Read[]) {
  const { records, faults } = measure(stream, reads)
  const { end } = records.at(-1)!
  const { ttft_us, duration_us: _, quality, ...rest } = end!
  return {
    model: records.at(-1)!.model,
    sources: records.map(({ token_source }) => token_source),
    tokens: records.flatMap(({ tokens }) => tokens),
    end: { ...rest, hasTtft: ttft_us !== null },
    quality: quality.filter((flag) => flag !== 'buffered'),
    faults,
  }
}

describe('golden/streams', () => {
  it('has a folder for each of the 37 edge cases', () => {
    const covered = new Set(golden.map(({ name }) => Number.parseInt(name, 10)))
    const cases = Array.from({ length: 37 }, (_, i) => i + 1)
    expect(cases.filter((n) => !covered.has(n))).deep.equal([])
  })

  it('has a folder for each dialect', () => {
    const read = new Set(golden.map(({ stream }) => dialectOf('POST', stream.request.path)))
    expect(DIALECTS.filter((dialect) => !read.has(dialect))).deep.equal([])
  })

  for (const one of golden) {
    const { name, stream, expected } = one
    it(`${name}: ${stream.about}`, () => {
      const { records, faults } = measure(stream, readsOf(stream))
      expect(records).length(1)
      expect(told(records, faults)).deep.equal(expected)
    })

    it(`${name}: the same in any other pieces`, () => {
      const reads = readsOf(stream)
      const want = timeless(one, reads)
      for (let seed = 1; seed <= 40; seed++) {
        expect(timeless(one, splitAnew(reads, seed)), `seed ${seed}`).deep.equal(want)
      }
      const length = reads.reduce((sum, [, bytes]) => sum + bytes.length, 0)
      if (length < 10_000) expect(timeless(one, byteByByte(reads)), 'bytes').deep.equal(want)
    })
  }
})
