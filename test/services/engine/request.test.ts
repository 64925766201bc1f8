import { expect } from 'chai'
import { BODY_BYTES_MAX, parseRequest } from '../../../services/engine/request.ts'
import { chat, planOf, post, quickModel, withEngine } from './fixture.ts'

interface Refusal {
  readonly error: { message: string; type: string; param: string | null; code: string | null }
}

describe('engine request', () => {
  it('names the field and the reason of a bad request', () => {
    const cases: [object, string, RegExp][] = [
      [chat({ model: 5 }), 'model', /expected string/],
      [chat({ messages: [] }), 'messages', />=1/],
      [chat({ messages: [{ role: 'user', content: 4 }] }), 'messages.0.content', /list of parts/],
      [chat({ max_tokens: 0 }), 'max_tokens', />=1/],
      [chat({ n: 2 }), 'n', /only 1/],
      [chat({ stream: 'yes' }), 'stream', /boolean/],
      [chat({ stream: false, stream_options: {} }), 'stream_options', /only allowed/],
    ]
    for (const [body, param, reason] of cases) {
      const fault = parseRequest('chat', JSON.stringify(body))
      expect(fault).to.include({ status: 400, type: 'invalid_request_error', param })
      expect(fault).to.have.property('message').that.matches(reason)
    }
    expect(parseRequest('chat', '[1]')).to.include({ status: 400, param: null })
    expect(parseRequest('chat', '{"a')).to.include({ status: 400, param: null })
    expect(parseRequest('text', JSON.stringify(chat()))).to.include({ param: 'prompt' })
  })

  it('counts the input of every form of prompt', () => {
    const tokens = (prompt: unknown) => {
      const parsed = parseRequest('text', JSON.stringify({ model: 'm', prompt }))
      return 'inputTokens' in parsed ? parsed.inputTokens : parsed.message
    }
    expect(tokens('12345678')).to.equal(2)
    expect(tokens(['12345678'])).to.equal(2)
    expect(tokens([5, 6, 7])).to.equal(3)
    expect(tokens('')).to.equal(1)
    const parts = [{ type: 'text', text: '1234' }, { type: 'image_url' }]
    const messages = [
      { role: 'system', content: '1234' },
      { role: 'assistant', content: null },
      { role: 'user', content: parts },
    ]
    expect(parseRequest('chat', JSON.stringify(chat({ messages })))).to.include({ inputTokens: 2 })
  })

  it('answers a bad request with 400, an unknown model with 404, and tells the truth', async () => {
    await withEngine([quickModel()], async (engine) => {
      const bad = await post(engine, '{"model":')
      expect(bad.status).to.equal(400)
      expect(((await bad.json()) as Refusal).error.type).to.equal('invalid_request_error')
      const unknown = await post(engine, chat({ model: 'gpt-9' }))
      expect(unknown.status).to.equal(404)
      const { error } = (await unknown.json()) as Refusal
      expect(error).to.include({ param: 'model', code: 'model_not_found' })
      expect(error.message).to.include('gpt-9')
      const types = engine.truths.map((record) => record.error_type)
      expect(types).to.deep.equal(['http_400', 'http_404'])
    })
  })

  it('does not let a refused request change the plans of the others', async () => {
    await withEngine([quickModel()], async (engine) => {
      await (await post(engine, chat({ model: 'gpt-9' }))).text()
      await (await post(engine, chat())).text()
      const tokens = engine.truths[1]!.chunks.map((chunk) => chunk.tokens)
      expect(tokens).to.deep.equal(planOf(quickModel(), 0).chunks.map((chunk) => chunk.tokens))
    })
  })

  it('answers 413 for a body beyond the limit, and takes one at it', async () => {
    await withEngine([quickModel()], async (engine) => {
      const frame = JSON.stringify(chat({ stream: false, padding: '' })).length
      const sized = (bytes: number) => chat({ stream: false, padding: 'x'.repeat(bytes - frame) })
      expect((await post(engine, sized(BODY_BYTES_MAX))).status).to.equal(200)
      for (const bytes of [BODY_BYTES_MAX + 1, 8 * BODY_BYTES_MAX]) {
        const response = await post(engine, sized(bytes))
        expect(response.status).to.equal(413)
        expect(((await response.json()) as Refusal).error.code).to.equal('body_too_large')
      }
    })
  })
})
