import { expect } from 'chai'
import { OPENAI } from '../../../../services/collector/dialect/openai.ts'
import { createReader, readRequest } from '../../../../services/collector/dialect/reader.ts'
import { chat, FINISH, ROLE, usage } from '../frames.ts'

/** The readings of the events of one stream, and the facts after them. */
function read(...events: readonly unknown[]) {
  const reader = createReader(OPENAI)
  const readings = events.map((event) =>
    reader.event(typeof event === 'string' ? event : JSON.stringify(event), ''),
  )
  return { readings, kinds: readings.map(({ kind }) => kind), facts: reader.facts() }
}

const ONE = { kind: 'output', chunks: 1, tokens: null }

describe('collector/dialect/openai', () => {
  it('takes text, reasoning, refusals and tool calls for output', () => {
    const call = { index: 0, function: { arguments: '{"a' } }
    const deltas = [
      { content: 'hi' },
      { content: ' ' },
      { reasoning_content: 'hm' },
      { reasoning: 'hm' },
      { content: '', reasoning: 'hm' },
      { refusal: 'no' },
      { tool_calls: [call] },
      { tool_calls: [{ index: 0, id: 'call_1', function: { name: 'f', arguments: '' } }] },
      { function_call: { name: 'f' } },
      { content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }] },
      { audio: { id: 'audio_1', transcript: 'hi' } },
      { audio: { data: 'UklGRg==' } },
    ]
    const { readings } = read(...deltas.map((delta) => chat(delta)))
    expect(readings).to.deep.equal(deltas.map(() => ONE))
  })

  it('takes a role, nothing, or a finish reason for no output', () => {
    const deltas = [
      { role: 'assistant' },
      { role: 'assistant', content: '' },
      { content: null },
      { content: '', reasoning_content: null, tool_calls: null, refusal: null },
      { tool_calls: [] },
      { content: [] },
      { audio: { id: 'audio_1', expires_at: 1 } },
      { tool_calls: [{ index: 0, function: { arguments: '' } }] },
    ]
    const { kinds } = read(...deltas.map((delta) => chat(delta)), FINISH, { choices: [null] })
    expect(new Set(kinds)).to.deep.equal(new Set(['other']))
  })

  it('reads text completions', () => {
    const { kinds, facts } = read(
      { model: 'm', choices: [{ index: 0, text: 'a', finish_reason: null }] },
      { model: 'm', choices: [{ index: 0, text: '', finish_reason: null }] },
      { model: 'm', choices: [{ index: 0, text: '', finish_reason: 'length' }] },
    )
    expect(kinds).to.deep.equal(['output', 'other', 'other'])
    expect(facts).to.include({ model: 'm', finishReason: 'length' })
  })

  it('reads text and finish reason in one chunk', () => {
    const { kinds, facts } = read({ choices: [{ delta: { content: 'a' }, finish_reason: 'stop' }] })
    expect(kinds).to.deep.equal(['output'])
    expect(facts.finishReason).to.equal('stop')
  })

  it('counts each choice with output as a chunk', () => {
    const choices = ['a', '', 'b'].map((content, index) => ({ index, delta: { content } }))
    expect(read({ choices }).readings).to.deep.equal([{ kind: 'output', chunks: 2, tokens: null }])
  })

  it('knows the end marker with any spacing, and only it', () => {
    const { kinds, facts } = read('[DONE]', ' [DONE] ', '[DONE]\n')
    expect(kinds).to.deep.equal(['done', 'done', 'done'])
    expect(facts.done).to.equal(true)
    expect(read('DONE', '"[DONE]"').facts.done).to.equal(false)
  })

  it('counts data that is no JSON object and goes on', () => {
    const { kinds, facts } = read(
      'OPENROUTER PROCESSING',
      '{"a',
      '3',
      'null',
      chat({ content: 'a' }),
    )
    expect(kinds).to.deep.equal(['other', 'other', 'other', 'other', 'output'])
    expect(facts.strange).to.equal(4)
  })

  it('keeps usage when a later chunk says null, and takes usage without choices', () => {
    const details = {
      ...usage(40),
      prompt_tokens_details: { cached_tokens: 3 },
      completion_tokens_details: { reasoning_tokens: 21 },
    }
    const { kinds, facts } = read(
      chat({ content: 'a' }, { usage: null }),
      { choices: [], usage: details },
      chat({}, { usage: null }),
    )
    expect(kinds).to.deep.equal(['output', 'other', 'other'])
    expect(facts.usage).to.deep.equal({
      inputTokens: 7,
      outputTokens: 40,
      cachedTokens: 3,
      reasoningTokens: 21,
    })
  })

  it('reads usage and content of the same chunk', () => {
    const { readings, facts } = read(ROLE, chat({ content: 'a' }, { usage: usage(5) }))
    expect(readings[1]).to.deep.equal({ kind: 'output', chunks: 1, tokens: 5 })
    expect(facts.usage.outputTokens).to.equal(5)
  })

  it('keeps the last truth of a usage that is odd', () => {
    const odd = { prompt_tokens: -1, completion_tokens: 1.5, completion_tokens_details: null }
    const { facts } = read({ choices: [], usage: usage(4) }, { choices: [], usage: odd })
    expect(facts.usage).to.include({ inputTokens: 7, outputTokens: 4 })
  })

  describe('errors inside the answer', () => {
    const types: readonly [unknown, string][] = [
      [{ error: { message: 'x', type: 'server_error', code: null } }, 'server_error'],
      [{ error: { message: 'x', type: 'BadRequestError', code: 400 } }, 'badrequesterror'],
      [{ error: { message: 'x', type: null, code: 429 } }, 'http_429'],
      [{ error: { message: 'x', code: 'rate_limit.exceeded' } }, 'rate_limit_exceeded'],
      [{ error: 'overloaded' }, 'overloaded'],
      [{ error: 'The prompt "secret" is not allowed' }, 'stream_error'],
      [{ error: { type: 'a sentence of the prompt', code: 'x'.repeat(99) } }, 'stream_error'],
      [{ error: {} }, 'stream_error'],
      [{ object: 'error', message: 'x', type: 'NotFoundError', code: 404 }, 'notfounderror'],
    ]
    for (const [event, errorType] of types) {
      it(`${JSON.stringify(event).slice(0, 60)} is ${errorType}`, () => {
        const { readings, facts } = read(chat({ content: 'a' }), event)
        expect(readings[1]).to.deep.equal({ kind: 'error', errorType })
        expect(facts.errorType).to.equal(errorType)
      })
    }

    it('an error field of null or an empty one is none', () => {
      const { kinds } = read(
        chat({ content: 'a' }, { error: null }),
        chat({ content: 'b' }, { error: '' }),
      )
      expect(kinds).to.deep.equal(['output', 'output'])
    })

    it('an event named error is one, whatever its data', () => {
      const reader = createReader(OPENAI)
      expect(reader.event('{"message":"x","code":503}', 'error').kind).to.equal('error')
      expect(reader.facts().errorType).to.equal('http_503')
      expect(createReader(OPENAI).event('oops', 'error').kind).to.equal('error')
    })

    it('the first error stays', () => {
      const { facts } = read({ error: 'first' }, { error: 'second' })
      expect(facts.errorType).to.equal('first')
    })
  })

  it('reads an answer that was not streamed', () => {
    const reader = createReader(OPENAI)
    const choices = [{ message: { role: 'assistant', content: 'hi' }, finish_reason: 'tool_calls' }]
    reader.body(JSON.stringify({ model: 'm', choices, usage: usage(9) }))
    expect(reader.facts()).to.deep.include({ model: 'm', finishReason: 'tool_calls' })
    expect(reader.facts().usage.outputTokens).to.equal(9)
    const failed = createReader(OPENAI)
    failed.body('{"error":{"type":"server_error"}}')
    expect(failed.facts().errorType).to.equal('server_error')
    const page = createReader(OPENAI)
    page.body('<html>')
    expect(page.facts()).to.include({ strange: 1, errorType: '' })
  })

  it('reads what a request asks for', () => {
    expect(readRequest('{"model":"m","stream":true}', OPENAI)).to.deep.equal({
      model: 'm',
      stream: true,
    })
    expect(readRequest('{"model":3}', OPENAI)).to.deep.equal({ model: '', stream: false })
    expect(readRequest('{"model":', OPENAI)).to.equal(null)
    expect(readRequest(JSON.stringify({ model: 'm'.repeat(999) }), OPENAI)?.model).to.have.length(
      256,
    )
  })
})
