import { expect } from 'chai'
import fc from 'fast-check'
import type { TokenEvents } from '../../../schemas/records.ts'
import { NO_USAGE } from '../../../services/collector/dialect/usage.ts'
import {
  createMeter,
  type Ending,
  type RequestLabels,
  RUN_CHUNKS_MAX,
} from '../../../services/collector/meter.ts'

const LABELS: RequestLabels = {
  request_id: 'r',
  source: 's',
  provider: 'p',
  model: 'm',
  endpoint: 'e',
  region: 'eu',
  tenant: 't',
  attributes: { a: 'b' },
}
const STARTED = 1_700_000_000_000_000

function ending(more: Partial<Ending> = {}): Ending {
  const base = { status: 'ok', errorType: '', finishReason: 'stop', durationUs: 0 } as const
  return { ...base, usage: NO_USAGE, quality: [], ...more }
}

/** Absolute times of all chunks, as a consumer rebuilds them from single records. */
function timeline(records: readonly TokenEvents[]): number[] {
  return records.flatMap(({ elapsed_us, gaps_us }) => {
    let at = elapsed_us
    return gaps_us.map((gap) => {
      at += gap
      return at
    })
  })
}

describe('collector/meter', () => {
  it('cuts a request into records as the contract says', () => {
    const meter = createMeter(LABELS, STARTED)
    expect(meter.take()).to.equal(null)
    meter.chunk(1000.4, 2)
    meter.chunk(1500.5, 1)
    const first = meter.take()
    meter.chunk(2000, 3)
    const usage = { inputTokens: 5, outputTokens: 6, cachedTokens: 1, reasoningTokens: 2 }
    const last = meter.end(ending({ durationUs: 2500.2, usage, quality: ['slow_client'] }))
    const common = { ...LABELS, started_at: STARTED, token_source: 'usage' }
    expect(first).to.deep.equal({
      ...common,
      first_chunk: 0,
      elapsed_us: 0,
      gaps_us: [1000, 501],
      tokens: [2, 1],
      end: null,
    })
    expect(last).to.deep.equal({
      ...common,
      first_chunk: 2,
      elapsed_us: 1501,
      gaps_us: [499],
      tokens: [3],
      end: {
        status: 'ok',
        error_type: '',
        finish_reason: 'stop',
        duration_us: 2500,
        ttft_us: 1000,
        first_chunk_tokens: 2,
        chunks: 3,
        intended_at: null,
        input_tokens: 5,
        output_tokens: 6,
        cached_tokens: 1,
        reasoning_tokens: 2,
        attempts: 1,
        cost_usd: null,
        security: null,
        speculative: null,
        quality: ['slow_client'],
      },
    })
  })

  it('gives a last record without chunks the time of the last chunk', () => {
    const meter = createMeter(LABELS, STARTED)
    meter.chunk(700, null)
    meter.take()
    const last = meter.end(ending({ durationUs: 900 }))
    expect(last).to.deep.include({ first_chunk: 1, elapsed_us: 700, gaps_us: [], tokens: [] })
    expect(last.end).to.deep.include({ ttft_us: 700, chunks: 1, first_chunk_tokens: 1 })
  })

  it('has no time to first token without output', () => {
    const last = createMeter(LABELS, STARTED).end(ending({ status: 'error', durationUs: 80 }))
    expect(last).to.deep.include({ first_chunk: 0, elapsed_us: 0, gaps_us: [], tokens: [] })
    expect(last).to.include({ token_source: 'chunk' })
    expect(last.end).to.deep.include({ ttft_us: null, chunks: 0, duration_us: 80 })
  })

  it('leaves tokens empty when none is known, and marks a run with gaps in it', () => {
    const meter = createMeter(LABELS, STARTED)
    meter.chunk(1, null)
    meter.chunk(2, null)
    expect(meter.take()).to.deep.include({ tokens: [], token_source: 'chunk' })
    meter.chunk(3, 4)
    meter.chunk(4, null)
    expect(meter.take()).to.deep.include({ tokens: [4, 1], token_source: 'chunk' })
    meter.chunk(5, 0)
    expect(meter.take()).to.deep.include({ tokens: [0], token_source: 'usage' })
    expect(meter.end(ending())).to.deep.include({ tokens: [], token_source: 'chunk' })
  })

  it('names the source of counts that do not come from usage', () => {
    const meter = createMeter(LABELS, STARTED, 'tokenizer')
    meter.chunk(3, 4)
    expect(meter.take()).to.include({ token_source: 'tokenizer' })
  })

  it('says when a run is full, and takes no more', () => {
    const meter = createMeter(LABELS, STARTED)
    for (let i = 1; i < RUN_CHUNKS_MAX; i++) expect(meter.chunk(i, null)).to.equal(false)
    expect(meter.chunk(RUN_CHUNKS_MAX, null)).to.equal(true)
    expect(() => meter.chunk(RUN_CHUNKS_MAX + 1, null)).to.throw('bug')
    expect(meter.take()?.gaps_us).to.have.length(RUN_CHUNKS_MAX)
    expect(meter.chunk(RUN_CHUNKS_MAX + 1, null)).to.equal(false)
  })

  it('clamps a gap that no int holds and flags it', () => {
    const meter = createMeter(LABELS, STARTED)
    meter.chunk(10, null)
    meter.chunk(10 + 2 ** 31, null)
    meter.chunk(20 + 2 ** 31, null)
    const last = meter.end(ending({ durationUs: 2 ** 32 }))
    expect(last.gaps_us).to.deep.equal([10, 2 ** 31 - 1, 10])
    expect(last.end?.quality).to.deep.equal(['gap_clamped'])
  })

  it('fills in a model that the request did not name, but overrides none', () => {
    const unnamed = createMeter({ ...LABELS, model: '' }, STARTED)
    unnamed.nameModel('x')
    unnamed.nameModel('y')
    expect(unnamed.end(ending()).model).to.equal('x')
    const named = createMeter(LABELS, STARTED)
    named.nameModel('x')
    expect(named.end(ending()).model).to.equal('m')
    const late = createMeter({ ...LABELS, model: '' }, STARTED)
    late.chunk(1000, null)
    expect(late.take()?.model).to.equal('')
    late.nameModel('x')
    expect(late.end(ending()).model, 'of another series than the first').to.equal('')
  })

  it('flags an answer that came in one piece', () => {
    const quality = (times: readonly number[], outputTokens: number | null = null) => {
      const meter = createMeter(LABELS, STARTED)
      for (const at of times) meter.chunk(at, null)
      return meter.end(ending({ usage: { ...NO_USAGE, outputTokens } })).end?.quality
    }
    expect(quality(Array(9).fill(5000))).to.deep.equal(['buffered'])
    expect(quality(Array(8).fill(5000))).to.deep.equal([])
    expect(quality(Array.from({ length: 9 }, (_, i) => 5000 + i * 1000))).to.deep.equal([])
    expect(quality([5000], 60)).to.deep.equal(['buffered'])
    expect(quality([5000], 1)).to.deep.equal([])
    expect(quality([], 60)).to.deep.equal([])
  })

  it('ends once', () => {
    const meter = createMeter(LABELS, STARTED)
    meter.end(ending())
    expect(() => meter.end(ending())).to.throw('bug')
    expect(() => meter.chunk(1, null)).to.throw('bug')
  })

  it('gives the same timeline wherever it is cut', () => {
    const step = fc.record({
      gapUs: fc.double({ min: -5, max: 1e7, noNaN: true }),
      tokens: fc.option(fc.nat({ max: 9 })),
      take: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const meter = createMeter(LABELS, STARTED)
        const records: TokenEvents[] = []
        const times: number[] = []
        let at = 0
        for (const { gapUs, tokens, take } of steps) {
          at += gapUs
          times.push(Math.max(times.at(-1) ?? 0, Math.round(at)))
          meter.chunk(at, tokens)
          const record = take ? meter.take() : null
          if (record) records.push(record)
        }
        const last = meter.end(ending({ durationUs: Math.max(at, 0) }))
        records.push(last)

        expect(timeline(records)).to.deep.equal(times)
        expect(last.end).to.include({ chunks: times.length, ttft_us: times[0] ?? null })
        expect(last.end?.first_chunk_tokens).to.equal(steps[0]?.tokens ?? 1)
        expect(last.end?.duration_us).to.be.at.least(times.at(-1) ?? 0)
        let chunks = 0
        for (const { first_chunk, elapsed_us, gaps_us, tokens, token_source } of records) {
          expect(first_chunk).to.equal(chunks)
          expect(elapsed_us).to.equal(chunks === 0 ? 0 : times[chunks - 1])
          expect(gaps_us.every((gap) => Number.isInteger(gap) && gap >= 0)).to.equal(true)
          const own = steps.slice(chunks, chunks + gaps_us.length).map((s) => s.tokens)
          const known = own.some((n) => n !== null)
          expect(tokens).to.deep.equal(known ? own.map((n) => n ?? 1) : [])
          if (gaps_us.length > 0) expect(token_source === 'usage').to.equal(!own.includes(null))
          chunks += gaps_us.length
        }
      }),
    )
  })
})
