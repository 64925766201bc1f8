import { expect } from 'chai'
import { plannedDurationUs, plannedTokens } from '../../../services/engine/plan.ts'
import {
  chat,
  countTokens,
  faultyModel,
  outputTexts,
  parseStream,
  planOf,
  post,
  quickModel,
  withEngine,
} from './fixture.ts'

describe('engine response', () => {
  it('streams a role, exactly the planned chunks, a reason and DONE', async () => {
    const model = quickModel()
    await withEngine([model], async (engine) => {
      for (let sequence = 0; sequence < 5; sequence++) {
        const response = await post(engine, chat())
        expect(response.status).to.equal(200)
        expect(response.headers.get('content-type')).to.match(/^text\/event-stream/)
        const { events, done } = parseStream(await response.text())
        const plan = planOf(model, sequence)
        const tokens = outputTexts(events).map(countTokens)
        expect(done).to.equal(true)
        expect(tokens).to.deep.equal(plan.chunks.map((chunk) => chunk.tokens))
        expect(events[0]!.choices![0]!.delta).to.deep.equal({ role: 'assistant', content: '' })
        expect(events.at(-1)!.choices![0]!.finish_reason).to.equal('stop')
        expect(events.map(({ object }) => object)).to.include.members(['chat.completion.chunk'])
        expect(events.some((event) => 'usage' in event)).to.equal(false)
      }
    })
  })

  it('gives the usage in a last event without choices when asked, null before', async () => {
    await withEngine([quickModel()], async (engine) => {
      const response = await post(engine, chat({ stream_options: { include_usage: true } }))
      const { events } = parseStream(await response.text())
      const last = events.pop()!
      expect(last.choices).to.deep.equal([])
      expect(last.usage!.completion_tokens).to.equal(plannedTokens(planOf(quickModel(), 0)))
      expect(last.usage!.prompt_tokens).to.equal(6)
      for (const { usage } of events) expect(usage).to.equal(null)
    })
  })

  it('gives the usage so far in every event when asked as vLLM is asked', async () => {
    await withEngine([quickModel()], async (engine) => {
      const stream_options = { include_usage: true, continuous_usage_stats: true }
      const response = await post(engine, chat({ stream_options }))
      const { events } = parseStream(await response.text())
      let total = 0
      const sums = planOf(quickModel(), 0).chunks.map(({ tokens }) => {
        total += tokens
        return total
      })
      const counted = events.map(({ usage }) => usage!.completion_tokens)
      expect(counted).to.deep.equal([0, ...sums, total, total])
    })
  })

  it('serves plain completions without a role', async () => {
    await withEngine([quickModel()], async (engine) => {
      const body = { model: 'quick', prompt: 'Once', stream: true, max_tokens: 6 }
      const response = await post(engine, body, { path: '/v1/completions' })
      const { events, done } = parseStream(await response.text())
      expect(done).to.equal(true)
      expect(countTokens(outputTexts(events).join(''))).to.equal(6)
      expect(events[0]!.choices![0]!.text).not.to.equal('')
      expect(events.at(-1)!.choices![0]!.finish_reason).to.equal('length')
    })
  })

  it('answers in one piece when not asked to stream', async () => {
    await withEngine([quickModel()], async (engine) => {
      const response = await post(engine, chat({ stream: false, max_completion_tokens: 5 }))
      const { choices, usage, object } = (await response.json()) as {
        object: string
        choices: { message: { content: string }; finish_reason: string }[]
        usage: object
      }
      expect(object).to.equal('chat.completion')
      expect(countTokens(choices[0]!.message.content)).to.equal(5)
      expect(choices[0]!.finish_reason).to.equal('length')
      const expected = { prompt_tokens: 6, completion_tokens: 5, total_tokens: 11 }
      expect(usage).to.deep.equal(expected)
      const { chunks } = engine.truths[0]!
      expect(chunks.map(({ tokens }) => tokens)).to.deep.equal([5])
      const plannedUs = plannedDurationUs(planOf(quickModel(), 0, 5))
      expect(chunks[0]!.at_us).to.be.at.least(plannedUs)
    })
  })

  it('puts an error inside the stream, after the chunks that were sent', async () => {
    const model = faultyModel('inBandError')
    await withEngine([model], async (engine) => {
      const { events, done } = parseStream(await (await post(engine, chat())).text())
      expect(events.pop()!.error!.type).to.equal('server_error')
      expect(outputTexts(events)).to.have.length(planOf(model, 0).chunks.length)
      expect(done).to.equal(true)
      expect(engine.truths[0]).to.include({ status: 'error', error_type: 'server_error' })
    })
  })

  it('closes the connection of a truncated stream without a word', async () => {
    const model = faultyModel('truncated')
    await withEngine([model], async (engine) => {
      const response = await post(engine, chat())
      const decoder = new TextDecoder()
      let text = ''
      let failed = false
      try {
        for await (const bytes of response.body!) text += decoder.decode(bytes, { stream: true })
      } catch {
        failed = true
      }
      expect(failed).to.equal(true)
      const { events, done } = parseStream(text)
      expect(done).to.equal(false)
      expect(outputTexts(events)).to.have.length(planOf(model, 0).chunks.length)
      expect(engine.truths[0]).to.include({ status: 'truncated', error_type: '' })
    })
  })

  it('rejects with 429 and 500 as the model table says', async () => {
    const cases = [
      ['http429', 429, 'rate_limit_error'],
      ['http500', 500, 'server_error'],
    ] as const
    for (const [kind, status, type] of cases) {
      await withEngine([faultyModel(kind)], async (engine) => {
        const response = await post(engine, chat())
        const { error } = (await response.json()) as { error: { type: string } }
        expect(response.status).to.equal(status)
        expect(error.type).to.equal(type)
        const record = engine.truths[0]
        expect(record).to.include({ status: 'error', error_type: `http_${status}` })
      })
    }
  })
})
