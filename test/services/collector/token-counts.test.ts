import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { TokenEvents } from '../../../schemas/records.ts'
import { createReader } from '../../../services/collector/dialect/reader.ts'
import { dialectOf } from '../../../services/collector/dialect/table.ts'
import { openTokenCounts, type TokenCounts } from '../../../services/collector/token-counts.ts'
import { requestEnd, tokenEvents } from '../../records.ts'
import { chat, DONE, FINISH, frame, ROLE, usage } from './frames.ts'
import { chatCall, startBench, until } from './proxy-fixture.ts'

const SSE = { 'content-type': 'text/event-stream' }

/** A word is a token. */
const WORDS = {
  model: {
    ...{ type: 'WordPiece', vocab: { '?': 0, a: 1, b: 2 }, unk_token: '?' },
    ...{ continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
  },
  pre_tokenizer: { type: 'WhitespaceSplit' },
  ...{ added_tokens: [], normalizer: null, post_processor: null, decoder: null },
}

describe('collector/token-counts', () => {
  let folder: string
  let file: string
  let counts: TokenCounts
  let published: TokenEvents[]
  let faults: string[]

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lens-tokens-'))
    file = join(folder, 'tokenizer.json')
    writeFileSync(file, JSON.stringify(WORDS))
    published = []
    faults = []
    counts = await open('')
  })
  afterEach(async () => {
    await counts.stop()
    rmSync(folder, { recursive: true })
  })

  function open(model: string): Promise<TokenCounts> {
    return openTokenCounts([{ model, file }], (record) => published.push(record), log)
  }

  const log = (line: string) => void faults.push(line)
  /** Publishes the records of a request, with what their chunks say. */
  function ofRequest() {
    const { say, publish } = counts.ofRequest((reason) => faults.push(reason))
    return (record: TokenEvents, texts: readonly string[]) => {
      texts.forEach(say)
      publish(record)
    }
  }

  it('counts the chunks of a stream that its server does not count', async () => {
    const bench = await startBench(
      (response) => {
        response.writeHead(200, SSE).write(frame(ROLE))
        for (const content of ['a b c', ' b', 'a b']) response.write(frame(chat({ content })))
        response.end(frame(FINISH) + DONE)
      },
      { tokenCounts: counts, publish: () => {} },
    )
    await chatCall(bench.proxy.url).reply
    await until(() => published.length > 0)
    await bench.close()
    const [record] = published
    expect(record).deep.include({ tokens: [3, 1, 2], token_source: 'tokenizer' })
    const quality = ['no_usage']
    expect(record!.end).deep.include({ output_tokens: 6, first_chunk_tokens: 3, quality })
    expect(faults).deep.equal([])
  })

  it('believes the server where that counts', async () => {
    const bench = await startBench(
      (response) => {
        response.writeHead(200, SSE)
        response.write(frame(chat({ content: 'a b c' }, { usage: usage(2) })))
        response.end(frame(chat({ content: 'a' }, { usage: usage(7) })) + frame(FINISH) + DONE)
      },
      { tokenCounts: counts },
    )
    await chatCall(bench.proxy.url).reply
    await until(() => published.length > 0)
    await bench.close()
    expect(published[0]).deep.include({ tokens: [2, 5], token_source: 'usage' })
    expect(published[0]!.end).include({ output_tokens: 7, first_chunk_tokens: 2 })
  })

  it('publishes the records of a request in their order, the end with the counts of all', async () => {
    const send = ofRequest()
    const run = { request_id: 'r', token_source: 'chunk', tokens: [], end: null } as const
    send(tokenEvents({ ...run, gaps_us: [9, 9] }), ['a b', 'a'])
    const end = requestEnd({ chunks: 3, output_tokens: null, first_chunk_tokens: 1 })
    send(tokenEvents({ ...run, first_chunk: 2, gaps_us: [9] }), ['a a a a'])
    send(tokenEvents({ ...run, first_chunk: 3, gaps_us: [], end }), [])
    expect(published).deep.equal([])
    await counts.stop()
    expect(published.map(({ tokens }) => tokens)).deep.equal([[2, 1], [4], []])
    const sources = published.map(({ token_source }) => token_source)
    expect(sources).deep.equal(['tokenizer', 'tokenizer', 'tokenizer'])
    expect(published[2]!.end).include({ output_tokens: 7, first_chunk_tokens: 2 })
  })

  it('counts nothing of a model without a tokenizer, and nothing in part', async () => {
    await counts.stop()
    counts = await open('other')
    const chunks = { model: 'm', token_source: 'chunk', tokens: [], gaps_us: [5, 5] } as const
    const end = requestEnd({ chunks: 2, output_tokens: null })
    ofRequest()(tokenEvents({ ...chunks, end }), ['a', 'b'])
    ofRequest()(tokenEvents({ ...chunks, model: 'other', end }), ['a'])
    await counts.stop()
    expect(published.map(({ token_source }) => token_source)).deep.equal(['chunk', 'chunk'])
    for (const record of published) expect(record.end).include({ output_tokens: null })
    expect(faults).deep.equal(['not_tokenized'])
  })

  it('lets no request wait for another, and publishes uncounted what is too much', async () => {
    const chunk = { token_source: 'chunk', tokens: [], gaps_us: [5], end: null } as const
    ofRequest()(tokenEvents({ ...chunk, request_id: 'slow' }), ['a '.repeat(300_000)])
    const [one, two] = [ofRequest(), ofRequest()]
    one(tokenEvents({ ...chunk, request_id: 'too much' }), ['a '.repeat(300_000)])
    two(tokenEvents({ token_source: 'usage', tokens: [3], request_id: 'counted' }), [])
    expect(published.map(({ request_id }) => request_id)).deep.equal(['too much', 'counted'])
    one(tokenEvents({ ...chunk, request_id: 'too much', first_chunk: 1 }), ['b'])
    await counts.stop()
    const [, , slow, last] = published
    expect([slow!.request_id, slow!.tokens]).deep.equal(['slow', [300_000]])
    expect([last!.request_id, last!.tokens]).deep.equal(['too much', [1]])
    expect(faults).deep.equal(['tokenizer_behind'])
  })

  it('counts no chunk that says nothing, such as sound', async () => {
    const chunk = { token_source: 'chunk', tokens: [], gaps_us: [5, 5], end: null } as const
    ofRequest()(tokenEvents(chunk), ['a', ''])
    await counts.stop()
    expect(published[0]).deep.include({ tokens: [], token_source: 'chunk' })
    expect(faults).deep.equal(['not_tokenized'])
  })

  it('counts what goes on with a word as what it is, whatever a text begins with', async () => {
    const vocab = { '?': 0, '\u2581': 1, ',': 2, w: 3, '\u2581w': 4 }
    const model = { type: 'BPE', vocab, merges: ['\u2581 w'], unk_token: '?' }
    const steps = { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '\u2581' }] }
    const space = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always' }
    const json = { ...WORDS, model, normalizer: steps, pre_tokenizer: space }
    writeFileSync(file, JSON.stringify(json))
    await counts.stop()
    counts = await open('')
    const chunk = { token_source: 'chunk', tokens: [], gaps_us: [5, 5, 5], end: null } as const
    ofRequest()(tokenEvents(chunk), ['w', ',', ' w,'])
    await counts.stop()
    expect(published[0]!.tokens).deep.equal([1, 1, 2])
  })

  it('says which file is no tokenizer', async () => {
    writeFileSync(file, '{"model":')
    const error = await open('').catch((fault) => fault)
    expect(error).include({ code: 'configuration_invalid' })
    expect(error.message).match(/^--tokenizer: .*tokenizer\.json is no tokenizer\.json: /)
    file = join(folder, 'none')
    expect((await open('').catch((fault) => fault)).message).match(/ENOENT/)
  })

  const delta = (part: object) => ({ choices: [{ delta: part }] })
  const call = { index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: '{"a"' } }
  const texts: readonly [string, object, readonly string[]][] = [
    ['/v1/chat/completions', delta({ role: 'assistant', content: 'hi' }), ['hi']],
    ['/v1/chat/completions', delta({ tool_calls: [call] }), ['f{"a"']],
    ['/v1/chat/completions', delta({ reasoning_content: 'so', reasoning: 'so' }), ['so']],
    ['/v1/chat/completions', delta({ reasoning_content: '', reasoning: 'so' }), ['so']],
    [
      '/v1/chat/completions',
      delta({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }] }),
      ['hm'],
    ],
    ['/v1/completions', { choices: [{ text: 'a' }, { text: '' }, { text: 'b' }] }, ['a', 'b']],
    ['/v1/responses', { type: 'response.output_text.delta', delta: 'yes' }, ['yes']],
    ['/v1/responses', { type: 'response.audio.delta', delta: 'AAAA' }, ['']],
    [
      '/v1/responses',
      { type: 'response.output_item.added', item: { type: 'function_call', name: 'f' } },
      ['f'],
    ],
    [
      '/v1/messages',
      { type: 'content_block_delta', delta: { type: 'input_json_delta', partial_json: '{"q' } },
      ['{"q'],
    ],
    [
      '/v1/messages',
      { type: 'content_block_start', content_block: { type: 'tool_use', id: 'i', name: 'f' } },
      ['f'],
    ],
    ['/api/generate', { model: 'm', response: 'hi', done: false }, ['hi']],
    [
      '/api/chat',
      { message: { tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] } },
      ['f{"a":1}'],
    ],
  ]
  for (const [path, event, said] of texts) {
    it(`finds what the model wrote in ${JSON.stringify(event).slice(0, 60)} of ${path}`, () => {
      const reader = createReader(dialectOf('POST', path)!, true)
      const reading = reader.object(event)
      expect(reading).deep.include({ kind: 'output', chunks: said.length, texts: said })
      expect(createReader(dialectOf('POST', path)!).object(event)).not.have.property('texts')
    })
  }
})
