import { expect } from 'chai'
import type { TokenEvents } from '../../../schemas/records.ts'
import { ANTHROPIC } from '../../../services/collector/dialect/anthropic.ts'
import { type ObserveOptions, observe } from '../../../services/collector/observe.ts'
import { createQueue } from '../../../services/collector/queue.ts'
import { createRuns } from '../../../services/collector/runs.ts'
import { createFaultyLog } from './faulty-sink.ts'
import { chat, FINISH, ROLE, usage } from './frames.ts'
import { createHandClock, type HandClock } from './hand-clock.ts'

/** Items that come `gapMs` after each other on the clock of the test. */
async function* paced<T>(clock: HandClock, gapMs: number, items: readonly T[]) {
  for (const item of items) {
    await clock.advance(gapMs)
    yield item
  }
}

function bench() {
  const clock = createHandClock()
  const records: TokenEvents[] = []
  const options: ObserveOptions<unknown> = {
    labels: { endpoint: 'pool-a', tenant: 'acme' },
    onRecord: (record) => records.push(record),
    clock,
    runs: createRuns(1000, clock),
  }
  return { clock, records, options }
}

async function drain<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function caught(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  )
}

describe('collector/observe', () => {
  it('yields the same items and publishes their timeline', async () => {
    const { clock, records, options } = bench()
    const total = { model: 'llama', choices: [], usage: usage(3) }
    const items = [ROLE, chat({ content: 'a' }), chat({ content: 'b' }), FINISH, total]
    const all = await drain(observe(paced(clock, 10, items), options))
    expect(all).to.have.length(5)
    for (const [i, item] of all.entries()) expect(item).to.equal(items[i])
    expect(records).to.have.length(1)
    expect(records[0]).to.deep.include({ model: 'llama', endpoint: 'pool-a', tenant: 'acme' })
    expect(records[0]).to.deep.include({ gaps_us: [20_000, 10_000], tokens: [] })
    expect(records[0]!.end).to.deep.include({
      status: 'ok',
      finish_reason: 'stop',
      ttft_us: 20_000,
      duration_us: 50_000,
      output_tokens: 3,
      quality: [],
    })
    expect(records[0]!.request_id).to.match(/^[0-9a-f-]{36}$/)
  })

  it('sends a record each second, also while the stream stalls', async () => {
    const { clock, records, options } = bench()
    const stream = observe(paced(clock, 1, [chat({ content: 'a' })]), options)
    await stream.next()
    await clock.advance(1000)
    expect(records.map(({ gaps_us }) => gaps_us)).to.deep.equal([[1000]])
    await stream.next()
    expect(records[1]).to.deep.include({ first_chunk: 1, elapsed_us: 1000, gaps_us: [] })
    expect(clock.waiting()).to.equal(0)
  })

  it('calls an early return cancelled and ends the source', async () => {
    const { clock, records, options } = bench()
    let ended = false
    async function* endless() {
      try {
        for (;;) yield chat({ content: 'a' })
      } finally {
        ended = true
      }
    }
    for await (const _ of observe(endless(), { ...options, clock })) break
    expect(ended).to.equal(true)
    expect(records[0]!.end).to.deep.include({ status: 'cancelled', error_type: '', chunks: 1 })
  })

  it('hands an error on and classes it', async () => {
    const errors: readonly [unknown, string, string][] = [
      [Object.assign(new Error('secret'), { status: 429 }), 'error', 'http_429'],
      [Object.assign(new Error('secret'), { code: 'ECONNRESET' }), 'error', 'econnreset'],
      [new TypeError('secret'), 'error', 'typeerror'],
      [null, 'error', 'error'],
      [Object.assign(new Error('secret'), { name: 'AbortError' }), 'cancelled', ''],
    ]
    for (const [error, status, error_type] of errors) {
      const { records, options } = bench()
      async function* failing() {
        yield chat({ content: 'a' })
        throw error
      }
      expect(await caught(drain(observe(failing(), options)))).to.equal(error)
      expect(records[0]!.end).to.deep.include({ status, error_type, chunks: 1 })
      expect(JSON.stringify(records)).to.not.include('secret')
    }
  })

  it('calls an error inside the stream one, although the stream goes on', async () => {
    const { clock, records, options } = bench()
    await drain(observe(paced(clock, 1, [{ error: { type: 'server_error' } }]), options))
    expect(records[0]!.end).to.include({ status: 'error', error_type: 'server_error' })
  })

  it('reads items of any kind with chunkOf', async () => {
    const { clock, records, options } = bench()
    const chunkOf = (item: unknown) => ({ output: item !== 0, tokens: Number(item) })
    const own = { ...options, chunkOf, tokenSource: 'tokenizer' as const }
    await drain(observe(paced(clock, 5, [0, 2, 3]), own))
    expect(records[0]).to.deep.include({ gaps_us: [10_000, 5000], tokens: [2, 3] })
    expect(records[0]).to.include({ token_source: 'tokenizer' })
    expect(records[0]!.end).to.deep.include({ first_chunk_tokens: 2, quality: ['no_usage'] })
  })

  it('counts from the moment at which the request was sent', async () => {
    const { clock, records, options } = bench()
    const sent = { wallUs: clock.wallUs(), monotonicUs: clock.monotonicUs() }
    await clock.advance(100)
    await drain(observe(paced(clock, 10, [chat({ content: 'a' })]), { ...options, sent }))
    expect(records[0]).to.deep.include({ started_at: sent.wallUs, gaps_us: [110_000] })
  })

  it('asks the program at the end what a guard took', async () => {
    const { clock, records, options } = bench()
    const security = { validation_us: 1, threat_detection_us: 2, output_filter_us: 3 }
    const phases = () => ({ security: { ...security, validation_us: 1.2 } })
    await drain(observe(paced(clock, 10, [chat({ content: 'a' })]), { ...options, phases }))
    expect(records[0]!.end).to.deep.include({ security, speculative: null })
    expect(records[0]!.end!.quality).to.include('guarded')
  })

  it('knows the end of a dialect that tells it in an object', async () => {
    const { clock, records, options } = bench()
    const text = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'a' } }
    const stop = { type: 'message_stop' }
    const anthropic = { ...options, dialect: ANTHROPIC }
    await drain(observe(paced(clock, 10, [text, stop]), anthropic))
    await drain(observe(paced(clock, 10, [text]), anthropic))
    for await (const { type } of observe(paced(clock, 10, [text, stop, text]), anthropic)) {
      if (type === 'message_stop') break
    }
    const ends = records.map(({ end }) => [end!.status, end!.quality])
    expect(ends).to.deep.equal([
      ['ok', ['no_usage']],
      ['truncated', ['truncated']],
      ['ok', ['no_usage']],
    ])
  })

  it('flags a caller that made items late, n > 1, and counts that disagree', async () => {
    const { clock, records, options } = bench()
    async function* atOnce() {
      for (const tokens of [3, 2]) yield chat({ content: 'a' }, { usage: usage(tokens) })
      yield { choices: [{ index: 1, delta: { content: 'b' } }] }
    }
    for await (const _ of observe(atOnce(), options)) await clock.advance(30)
    const { end, tokens } = records[0]!
    expect(end!.quality).to.have.members(['slow_client', 'several_choices', 'usage_disagrees'])
    expect(tokens).to.deep.equal([])
  })

  it('calls a stream cancelled that its client ended without a word', async () => {
    const { clock, records, options } = bench()
    const controller = new AbortController()
    const items = Object.assign(paced(clock, 10, [chat({ content: 'a' })]), { controller })
    for await (const _ of observe(items, options)) controller.abort()
    expect(records[0]!.end).to.include({ status: 'cancelled' })
  })

  it('never throws for its own trouble', async () => {
    const { clock, options } = bench()
    const broken = () => {
      throw new Error('broken')
    }
    const items = [1, 2]
    for (const more of [{ chunkOf: broken }, { onRecord: broken }]) {
      const all = await drain(observe(paced(clock, 1, items), { ...options, ...more }))
      expect(all).to.deep.equal(items)
    }
  })

  it('publishes into a queue, by request', async () => {
    const { clock, options } = bench()
    const log = createFaultyLog()
    const queue = createQueue({
      sink: log.open,
      encode: (_, value) => Buffer.from(JSON.stringify(value)),
      partitions: { 'lens.token-events': 3 },
      log: () => {},
      clock,
      timers: clock,
    })
    await drain(observe(paced(clock, 1, [chat({ content: 'a' })]), { ...options, queue }))
    await queue.close()
    const [append] = log.stored
    const [record] = append!.records
    expect(append!.topic).to.equal('lens.token-events')
    expect(JSON.parse(String(record!.value)).request_id).to.equal(record!.key)
  })
})
