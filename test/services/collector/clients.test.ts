/** The official clients, through the proxy and with a measured fetch, unchanged. */
import Anthropic from '@anthropic-ai/sdk'
import { expect } from 'chai'
import OpenAI from 'openai'
import type { RequestEnd, TokenEvents } from '../../../schemas/records.ts'
import { measuredFetch } from '../../../services/collector/measured-fetch.ts'
import { createRuns } from '../../../services/collector/runs.ts'
import { chat, DONE, FINISH, frame, ROLE, stream, usage } from './frames.ts'
import { startBench, until } from './proxy-fixture.ts'
import { type Answering, startUpstream } from './upstream.ts'

const SSE = { 'content-type': 'text/event-stream' }
const JSON_TYPE = { 'content-type': 'application/json' }

interface Measured {
  readonly baseURL: string
  readonly fetch: typeof fetch
  readonly records: readonly TokenEvents[]
  close(): Promise<void>
}

/** The two ways to measure a client that is not ours. */
const WAYS: Readonly<Record<string, (answer: Answering) => Promise<Measured>>> = {
  async 'the proxy'(answer) {
    const { proxy, records, close } = await startBench(answer)
    return { baseURL: proxy.url, fetch, records, close }
  },
  async 'a measured fetch'(answer) {
    const upstream = await startUpstream(answer)
    const records: TokenEvents[] = []
    const measured = measuredFetch({
      labels: { endpoint: 'e' },
      onRecord: (record) => records.push(record),
      runs: createRuns(600_000),
    })
    return { baseURL: upstream.url, fetch: measured, records, close: upstream.close }
  },
}

function event(value: { readonly type: string }): string {
  return `event: ${value.type}\n${frame(value)}`
}

const CHAT = { model: 'llama', messages: [{ role: 'user' as const, content: 'hi' }] }
const MESSAGE = { ...CHAT, max_tokens: 100 }
const begun = {
  type: 'message_start',
  message: {
    ...{ id: 'msg_1', type: 'message', role: 'assistant', content: [], model: 'claude' },
    ...{ stop_reason: null, stop_sequence: null, usage: { input_tokens: 9, output_tokens: 1 } },
  },
}

/** The events of an answer of Anthropic's, around those of one block. */
function message(block: object, deltas: readonly object[], stop_reason: string): string {
  return [
    begun,
    { type: 'content_block_start', index: 0, content_block: block },
    { type: 'ping' },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index: 0, delta })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason }, usage: { output_tokens: 6 } },
    { type: 'message_stop' },
  ]
    .map(event)
    .join('')
}

for (const [way, open] of Object.entries(WAYS)) {
  describe(`collector, official clients, ${way}`, () => {
    let measured: Measured

    async function start(answer: Answering): Promise<void> {
      measured = await open(answer)
    }
    const openai = (maxRetries = 0) => {
      const { baseURL, fetch } = measured
      return new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: 'key', fetch, maxRetries })
    }
    const anthropic = (maxRetries = 0) => {
      const { baseURL, fetch } = measured
      return new Anthropic({ baseURL, apiKey: 'key', fetch, maxRetries })
    }
    async function ends(count = 1): Promise<readonly RequestEnd[]> {
      const isEnd = (record: TokenEvents) => record.end !== null
      await until(() => measured.records.filter(isEnd).length >= count)
      return measured.records.filter(isEnd).map(({ end }) => end!)
    }

    afterEach(() => measured.close())

    it('openai: streams a chat', async () => {
      await start((response) => void response.writeHead(200, SSE).end(stream(['a', 'b', 'c'], 4)))
      let text = ''
      const chunks = await openai().chat.completions.create({ ...CHAT, stream: true })
      for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? ''
      expect(text).equal('abc')
      const [end] = await ends()
      expect(end).deep.include({ status: 'ok', chunks: 3, output_tokens: 4, finish_reason: 'stop' })
    })

    it('openai: calls a tool', async () => {
      const call = (more: object) => frame(chat({ tool_calls: [{ index: 0, ...more }] }))
      const parts = [
        frame(ROLE),
        call({ id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } }),
        call({ function: { arguments: '{"a":' } }),
        call({ function: { arguments: '1}' } }),
        frame({ ...FINISH, choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] }),
        frame({ model: 'llama', choices: [], usage: usage(5) }),
        DONE,
      ]
      await start((response) => void response.writeHead(200, SSE).end(parts.join('')))
      const answer = await openai().chat.completions.stream(CHAT).finalChatCompletion()
      const [toolCall] = answer.choices[0]!.message.tool_calls!
      expect(toolCall).deep.include({ function: { name: 'f', arguments: '{"a":1}' } })
      const [end] = await ends()
      expect(end).deep.include({ status: 'ok', chunks: 3, finish_reason: 'tool_calls' })
    })

    it('openai: streams a response', async () => {
      const response = { id: 'resp_1', object: 'response', model: 'gpt', output: [] }
      const used = { input_tokens: 3, output_tokens: 2, total_tokens: 5 }
      const parts = [
        { type: 'response.created', response: { ...response, status: 'in_progress' } },
        { type: 'response.output_text.delta', delta: 'a', output_index: 0, content_index: 0 },
        { type: 'response.output_text.delta', delta: 'b', output_index: 0, content_index: 0 },
        { type: 'response.completed', response: { ...response, status: 'completed', usage: used } },
      ]
      await start((answer) => void answer.writeHead(200, SSE).end(parts.map(event).join('')))
      let text = ''
      const events = await openai().responses.create({ model: 'gpt', input: 'hi', stream: true })
      for await (const one of events) {
        if (one.type === 'response.output_text.delta') text += one.delta
      }
      expect(text).equal('ab')
      const [end] = await ends()
      expect(end).deep.include({ status: 'ok', chunks: 2, output_tokens: 2 })
    })

    it('openai: sees an error status, and repeats a send that failed', async () => {
      const statuses = [429, 500, 200]
      await start((response) => {
        const status = statuses.shift()!
        const body = JSON.stringify({ error: { message: 'no', type: 'x' } })
        if (status !== 200) response.writeHead(status, JSON_TYPE).end(body)
        else response.writeHead(200, SSE).end(stream(['a']))
      })
      const failed = await openai()
        .chat.completions.create(CHAT)
        .catch((error: InstanceType<typeof OpenAI.APIError>) => error)
      expect(failed).include({ status: 429, type: 'x' })
      await (
        await openai(1)
          .chat.completions.create({ ...CHAT, stream: true })
          .asResponse()
      ).text()
      const all = (await ends(3)).map(({ status, error_type, attempts, quality }) => {
        return [status, error_type, attempts, quality]
      })
      expect(all).deep.equal([
        ['error', 'http_429', 1, []],
        ['error', 'http_500', 1, []],
        ['ok', '', 2, ['retried']],
      ])
    })

    it('openai: sees an error inside the stream, and aborts', async () => {
      let torn = false
      await start((response) => {
        response.writeHead(200, SSE).write(frame(chat({ content: 'a' })))
        if (!torn) response.end(frame({ error: { message: 'x', type: 'server_error' } }))
        torn = true
      })
      const failed = await openai()
        .chat.completions.stream(CHAT)
        .finalContent()
        .catch((error: Error) => error.name)
      expect(failed).equal('Error')
      const chunks = await openai().chat.completions.create({ ...CHAT, stream: true })
      for await (const _ of chunks) chunks.controller.abort()
      const all = (await ends(2)).map((end) => [end.status, end.error_type, end.chunks])
      expect(all).deep.equal([
        ['error', 'server_error', 1],
        ['cancelled', '', 1],
      ])
    })

    it('anthropic: streams a message', async () => {
      const deltas = ['a', 'b'].map((text) => ({ type: 'text_delta', text }))
      const body = message({ type: 'text', text: '' }, deltas, 'end_turn')
      await start((response) => void response.writeHead(200, SSE).end(body))
      const answer = await anthropic().messages.stream(MESSAGE).finalMessage()
      expect(answer.content[0]).include({ type: 'text', text: 'ab' })
      const [end] = await ends()
      expect(end).deep.include({ status: 'ok', chunks: 2, finish_reason: 'end_turn' })
      expect(end).deep.include({ input_tokens: 9, output_tokens: 6, quality: [] })
      expect(measured.records[0]!.model).equal('llama')
    })

    it('anthropic: calls a tool', async () => {
      const deltas = ['', '{"a"', ':1}'].map((partial_json) => {
        return { type: 'input_json_delta', partial_json }
      })
      const block = { type: 'tool_use', id: 'toolu_1', name: 'f', input: {} }
      await start((response) => {
        response.writeHead(200, SSE).end(message(block, deltas, 'tool_use'))
      })
      const answer = await anthropic().messages.stream(MESSAGE).finalMessage()
      expect(answer.content[0]).deep.include({ name: 'f', input: { a: 1 } })
      const [end] = await ends()
      expect(end).deep.include({ status: 'ok', chunks: 3, finish_reason: 'tool_use' })
    })

    it('anthropic: sees an error status, an error inside the stream, and aborts', async () => {
      const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'x' } }
      const text = {
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'text_delta', text: 'a' },
      }
      const block = {
        type: 'content_block_start',
        index: 0,
        content_block: { type: 'text', text: '' },
      }
      const start200 = [begun, block, text].map(event).join('')
      const answers: Answering[] = [
        (response) => void response.writeHead(529, JSON_TYPE).end(JSON.stringify(overloaded)),
        (response) => void response.writeHead(200, SSE).end(start200 + event(overloaded)),
        (response) => void response.writeHead(200, SSE).write(start200),
      ]
      await start((response, seen) => answers.shift()!(response, seen))
      const ask = () => anthropic().messages.create({ ...MESSAGE, stream: true })
      expect(await ask().catch((error) => error.status)).equal(529)
      const drained = async () => {
        for await (const _ of await ask());
      }
      expect(await drained().catch((error) => error.error?.error?.type)).equal('overloaded_error')
      const events = await ask()
      for await (const one of events) {
        if (one.type === 'content_block_delta') events.controller.abort()
      }
      const all = (await ends(3)).map((end) => [end.status, end.error_type, end.chunks])
      expect(all).deep.equal([
        ['error', 'http_529', 0],
        ['error', 'overloaded_error', 1],
        ['cancelled', '', 1],
      ])
    })
  })
}
