import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { TruthRecord } from '../../../services/engine/truth.ts'
import {
  chat,
  countTokens,
  outputTexts,
  parseStream,
  post,
  quickModel,
  type TestEngine,
  withEngine,
} from './fixture.ts'

/** Waits, within the time limit of the test, for so many lines of truth. */
async function truthsOf(engine: TestEngine, count: number): Promise<readonly TruthRecord[]> {
  while (engine.truths.length < count) await sleep(2)
  return engine.truths
}

async function metricsOf(engine: TestEngine): Promise<string> {
  return (await fetch(`${engine.url}/metrics`)).text()
}

const endless = quickModel({
  outputTokens: { median: 10_000, sigma: 0, max: 10_000 },
  gapMs: { median: 5, sigma: 0 },
})

/** Sends a request, reads the first bytes of its answer, then goes away. */
async function readAndLeave(engine: TestEngine): Promise<void> {
  const leaving = new AbortController()
  const response = await post(engine, chat(), { signal: leaving.signal })
  await response.body!.getReader().read()
  leaving.abort()
}

describe('engine exchange', () => {
  it('tells the truth that the client received', async () => {
    await withEngine([quickModel()], async (engine) => {
      const startUs = Date.now() * 1000
      const headers = { 'x-lens-request-id': 'mine', 'x-lens-tenant': 'acme' }
      const response = await post(engine, chat(), { headers })
      expect(response.headers.get('x-request-id')).to.equal('mine')
      const { events } = parseStream(await response.text())
      const record = engine.truths[0]!
      const received = outputTexts(events).map(countTokens)
      expect(record.chunks.map(({ tokens }) => tokens)).to.deep.equal(received)
      expect(record.output_tokens).to.equal(received.reduce((sum, tokens) => sum + tokens))
      expect(record).to.include({ request_id: 'mine', tenant: 'acme', model: 'quick' })
      expect(record).to.include({ status: 'ok', error_type: '', finish_reason: 'stop' })
      expect(record.input_tokens).to.equal(6)
      expect(record.started_at_us).to.be.within(startUs, Date.now() * 1000)
      const times = [0, ...record.chunks.map((chunk) => chunk.at_us), record.duration_us]
      expect(times).to.deep.equal(times.toSorted((a, b) => a - b))
    })
  })

  it('sends no chunk before its planned time', async () => {
    const model = quickModel({ ttftMs: { median: 40, sigma: 0 }, gapMs: { median: 7, sigma: 0 } })
    await withEngine([model], async (engine) => {
      await (await post(engine, chat())).text()
      for (const [index, { at_us }] of engine.truths[0]!.chunks.entries()) {
        expect(at_us).to.be.at.least(40_000 + 7000 * index)
      }
    })
  })

  it('does not drift: lateness of one chunk is not passed on to the next', async () => {
    const gapMs = { median: 1.4, sigma: 0 }
    const outputTokens = { median: 400, sigma: 0, max: 400 }
    const model = quickModel({ gapMs, outputTokens, multiTokenShare: 0 })
    await withEngine([model], async (engine) => {
      await (await post(engine, chat())).text()
      const { chunks } = engine.truths[0]!
      const late = chunks.map(({ at_us }, index) => at_us - chunks[0]!.at_us - 1400 * index)
      // Relative sleeps would be late by most of a millisecond a chunk. The least of the last
      // hundred is not hurt by a pause of the machine.
      expect(Math.min(...late.slice(-100))).to.be.below(100_000)
    })
  })

  it('stops, frees the slot and says cancelled when the client goes away', async () => {
    await withEngine([{ ...endless, slots: 1 }], async (engine) => {
      for (let round = 1; round <= 3; round++) {
        await readAndLeave(engine)
        const record = (await truthsOf(engine, round))[round - 1]
        expect(record).to.include({ status: 'cancelled', error_type: '' })
      }
      const sent = () => engine.truths.map(({ chunks }) => chunks.length)
      const sentAtEnd = sent()
      await sleep(40)
      expect(sent()).to.deep.equal(sentAtEnd)
      const page = await metricsOf(engine)
      expect(page).to.include('vllm:num_requests_running{model_name="quick"} 0')
      expect(page).to.include('vllm:num_requests_waiting{model_name="quick"} 0')
    })
  })

  it('serves the one that waits when the one before goes away', async () => {
    await withEngine([{ ...endless, slots: 1 }], async (engine) => {
      const leaving = new AbortController()
      await post(engine, chat(), { signal: leaving.signal })
      const waiting = post(engine, chat({ max_tokens: 3 }))
      while (!(await metricsOf(engine)).includes('waiting{model_name="quick"} 1')) await sleep(2)
      leaving.abort()
      expect(parseStream(await (await waiting).text()).done).to.equal(true)
      const statuses = (await truthsOf(engine, 2)).map((record) => record.status)
      expect(statuses).to.deep.equal(['cancelled', 'ok'])
    })
  })

  it('lets requests beyond the slots wait, and refuses those beyond the queue', async () => {
    const models = [quickModel({ slots: 1, waitingMax: 1, ttftMs: { median: 100, sigma: 0 } })]
    await withEngine(models, async (engine) => {
      const responses = await Promise.all([1, 2, 3].map(() => post(engine, chat())))
      const statuses = responses.map(({ status }) => status).sort()
      expect(statuses).to.deep.equal([200, 200, 429])
      await Promise.all(responses.map((response) => response.text()))
      const served = engine.truths.filter(({ status }) => status === 'ok')
      const firstAt = served.map(({ chunks }) => chunks[0]!.at_us)
      expect(firstAt[1]).to.be.above(firstAt[0]! + 90_000)
    })
  })

  it('cuts what still streams when the engine stops', async () => {
    let truths: readonly TruthRecord[] = []
    await withEngine([endless], async (engine) => {
      const response = await post(engine, chat())
      // The reader fails when the engine cuts the stream, which is what this test is about.
      void response.text().catch(() => 'cut')
      truths = engine.truths
    })
    expect(truths[0]).to.include({ status: 'truncated', error_type: 'engine_stopped' })
  })
})
