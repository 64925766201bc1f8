import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import type { TokenEvents } from '../../../schemas/records.ts'
import { createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { type Ingest, startIngest } from '../../../services/collector/ingest.ts'
import { createQueue, type Queue } from '../../../services/collector/queue.ts'
import { NOON_MS, NOON_US } from '../../records.ts'
import { createFaultyLog, type Fate, type FaultyLog } from './faulty-sink.ts'
import { otlpBody, otlpSpan, type SpanShape, TRACE } from './spans.ts'

const codec = await createCodec(createFileRegistry(readSchemas()), Date.now)
const ROOT = new URL('../../../', import.meta.url).pathname

const CHAT = { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'm' }
const USAGE = { 'gen_ai.usage.input_tokens': 9, 'gen_ai.usage.output_tokens': 5 }

/** A call in the words of each, and what of it is a measure. */
const DIALECTS: Record<string, readonly [SpanShape, object]> = {
  'OpenTelemetry, of a call that is not streamed': [
    {
      attributes: {
        ...{ ...CHAT, ...USAGE, 'gen_ai.provider.name': 'openai' },
        ...{ 'server.address': 'api.openai.com', 'server.port': 443 },
        'gen_ai.response.finish_reasons': ['stop'],
        'gen_ai.usage.cache_read.input_tokens': 4,
        'gen_ai.usage.reasoning.output_tokens': 2,
      },
    },
    {
      ...{ endpoint: 'api.openai.com:443', provider: 'openai', gaps_us: [], tokens: [] },
      ...{ status: 'ok', finish_reason: 'stop', ttft_us: null, chunks: 0, quality: [] },
      ...{ input_tokens: 9, output_tokens: 5, cached_tokens: 4, reasoning_tokens: 2 },
    },
  ],
  'OpenTelemetry, with the time to the first chunk': [
    { attributes: { ...CHAT, ...USAGE, 'gen_ai.response.time_to_first_chunk': 0.25 } },
    {
      ...{ gaps_us: [250_000, 1_750_000], tokens: [1, 4], token_source: 'usage' },
      ...{ endpoint: 'shop', ttft_us: 250_000, quality: ['buffered'] },
    },
  ],
  'an older convention, with an error': [
    {
      attributes: { ...CHAT, 'gen_ai.system': 'anthropic', 'error.type': 'rate_limit_error' },
      more: { status: { code: 2, message: 'the prompt was: hi' } },
    },
    { provider: 'anthropic', status: 'error', error_type: 'rate_limit_error', output_tokens: null },
  ],
  vLLM: [
    {
      attributes: {
        ...{ 'gen_ai.response.model': 'm', 'gen_ai.latency.time_to_first_token': 0.5 },
        ...{ 'gen_ai.usage.prompt_tokens': 7, 'gen_ai.usage.completion_tokens': 1 },
      },
    },
    { gaps_us: [500_000], tokens: [1], input_tokens: 7, output_tokens: 1, quality: [] },
  ],
  'OpenLLMetry, with an event for each chunk': [
    {
      attributes: { 'llm.request.type': 'chat', 'gen_ai.request.model': 'm', ...USAGE },
      events: [0.2, 0.5, 0.3].map((atS) => ['llm.content.completion.chunk', atS] as const),
    },
    {
      ...{ gaps_us: [200_000, 100_000, 200_000], tokens: [], token_source: 'chunk' },
      ...{ chunks: 3, ttft_us: 200_000, output_tokens: 5, duration_us: 2_000_000, quality: [] },
    },
  ],
  'OpenLLMetry, of an answer of one chunk': [
    {
      attributes: { ...CHAT, ...USAGE },
      events: [['llm.content.completion.chunk', 0.2]],
    },
    { gaps_us: [200_000], tokens: [], token_source: 'chunk', chunks: 1, quality: [] },
  ],
  'one that says it made no tokens': [
    {
      attributes: {
        ...{ ...CHAT, 'gen_ai.usage.output_tokens': 0 },
        'gen_ai.response.time_to_first_chunk': 0.5,
      },
    },
    { gaps_us: [500_000, 1_500_000], tokens: [], token_source: 'chunk', output_tokens: 0 },
  ],
  'OpenInference, with an event for the first chunk and no counts': [
    {
      attributes: { 'openinference.span.kind': 'LLM', 'llm.model_name': 'm' },
      events: [['First Token Stream Event', 0.2]],
    },
    { gaps_us: [200_000, 1_800_000], tokens: [], quality: ['buffered', 'no_usage'] },
  ],
}

describe('collector/ingest, spans', () => {
  let fate: Fate
  let log: FaultyLog
  let queue: Queue
  let ingest: Ingest

  beforeEach(async () => {
    fate = 'ok'
    log = createFaultyLog(() => fate)
    const partitions = { 'lens.token-events': 3, 'lens.resource-samples': 2 }
    const limits = { flushMs: 5, recordsMax: 700 }
    queue = createQueue({ sink: log.open, encode: codec.encode, partitions, ...limits, log() {} })
    const place = { host: '127.0.0.1', port: 0 }
    ingest = await startIngest({ ...place, codec, queue, recordsMax: 5, nowMs: () => NOON_MS })
  })
  afterEach(async () => {
    await ingest.stop()
    await queue.close()
  })

  async function post(body: unknown, headers: Record<string, string> = {}) {
    const isReady = typeof body === 'string' || body instanceof Uint8Array
    const response = await fetch(`${ingest.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: isReady ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
    })
    return { status: response.status, response }
  }

  async function told(body: unknown): Promise<unknown> {
    const { status, response } = await post(body)
    expect(status).equal(200)
    return await response.json()
  }

  /** What is in the log when all that waited has been sent. */
  async function stored(): Promise<TokenEvents[]> {
    await queue.close()
    const all = log.stored.flatMap(({ records }) => records)
    return all.map(
      ({ value }) => codec.decoder('lens.token-events')(value, NOON_MS).value as TokenEvents,
    )
  }

  for (const [name, [shape, measured]] of Object.entries(DIALECTS)) {
    it(`takes a call as it comes from ${name}`, async () => {
      const resource = { 'cloud.region': 'eu', 'latency_lens.tenant': 'acme' }
      expect(await told(otlpBody([otlpSpan(7, shape)], resource))).deep.equal({})
      const [record, ...others] = await stored()
      expect(others).deep.equal([])
      const { end, ...run } = record!
      expect({ ...run, ...end }).deep.include({
        ...{ request_id: `${TRACE}-0000000000000007`, model: 'm', started_at: NOON_US },
        ...{ region: 'eu', tenant: 'acme', attributes: { 'service.name': 'shop' } },
        ...measured,
      })
    })
  }

  /** A call, inside another span if `parent` is one; another one than of a model with `own`. */
  function layer(n: number, parent = 0, own: object = CHAT): object {
    const parentSpanId = parent === 0 ? '' : parent.toString(16).padStart(16, '0')
    return otlpSpan(n, { attributes: { ...own }, more: { parentSpanId } })
  }

  const HTTP = { 'http.request.method': 'POST' }
  const cases: Record<string, readonly [readonly (readonly object[])[], readonly string[]]> = {
    'none but calls of models': [
      [[layer(1, 0, HTTP), layer(2, 0, { ...CHAT, 'gen_ai.operation.name': 'embeddings' })]],
      [],
    ],
    'the same span once, also within a body': [[[layer(1), layer(1)], [layer(1)]], ['1']],
    'the inner one of two layers': [[[layer(1), layer(2, 1)]], ['2']],
    'the inner one through a layer between': [[[layer(1), layer(2, 1, HTTP), layer(3, 2)]], ['3']],
    'the first of two layers that come one by one': [[[layer(2, 1)], [layer(1)]], ['2']],
    'the first of them in any order': [[[layer(1)], [layer(2, 1)]], ['1']],
    'two calls inside one span': [[[layer(1), layer(2, 1), layer(3, 1)]], ['2', '3']],
    'one that names itself as its parent': [[[layer(1, 1)]], ['1']],
    'the outer one of a layer that is none': [
      [[layer(1), layer(2, 1, { 'gen_ai.operation.name': 'chat' })]],
      ['1'],
    ],
  }
  for (const [what, [bodies, counted]] of Object.entries(cases)) {
    it(`counts ${what}`, async () => {
      for (const spans of bodies) await told(otlpBody(spans))
      const ids = (await stored()).map(({ request_id }) => request_id.slice(-1))
      expect(ids.sort()).deep.equal(counted)
    })
  }

  it('cuts a call of many chunks into records', async () => {
    const events = Array.from({ length: 1_100 }, (_, i) => {
      return ['llm.content.completion.chunk', i / 1000] as const
    })
    await told(otlpBody([otlpSpan(1, { events, attributes: CHAT })]))
    const records = (await stored()).sort((a, b) => a.first_chunk - b.first_chunk)
    expect(records.map(({ gaps_us }) => gaps_us.length)).deep.equal([512, 512, 76])
    expect(records.at(-1)!.end).deep.include({ chunks: 1_100, status: 'ok' })
  })

  const bad: readonly [SpanShape, RegExp][] = [
    [{ attributes: { 'gen_ai.operation.name': 'chat' } }, /gen_ai\.request\.model must be given$/],
    [{ attributes: CHAT, more: { startTimeUnixNano: 'x' } }, /startTimeUnixNano must be nanosec/],
    [{ attributes: CHAT, endS: -1 }, /endTimeUnixNano must not be before the start$/],
    [
      { attributes: CHAT, more: { traceId: 'a prompt' } },
      /traceId and spanId must be 32 and 16 hex/,
    ],
    [{ attributes: CHAT, more: { traceId: { toString: 1 } } }, /traceId and spanId must be/],
    [
      { attributes: CHAT, events: [['llm.content.completion.chunk', -1]] },
      /timeUnixNano must be given, and not be before the start$/,
    ],
    [{ attributes: CHAT, startS: 90, endS: 91 }, /the event time is more than a minute ahead/],
    [
      { attributes: { ...CHAT, 'gen_ai.response.time_to_first_chunk': 250 } },
      /time_to_first_chunk must be seconds, and no more than the span has$/,
    ],
    [
      { attributes: { ...CHAT, 'gen_ai.request.model': 'x'.repeat(300) } },
      /what is label model must have 256 characters at most$/,
    ],
  ]
  for (const [shape, says] of bad) {
    it(`takes the others of a body when of one ${says}`, async () => {
      const good = otlpSpan(2, { attributes: CHAT })
      const answer = (await told(otlpBody([otlpSpan(1, shape), good]))) as {
        partialSuccess: object
      }
      const { rejectedSpans, errorMessage } = answer.partialSuccess as Record<string, unknown>
      expect(rejectedSpans).equal(1)
      expect(errorMessage)
        .match(/^(a span|span 5b8efff7)/)
        .match(says)
      expect(ingest.stats()).deep.equal({ accepted: 1, refused: { 400: 1 } })
      expect(await stored()).length(1)
    })
  }

  it('takes nothing of what is no OTLP, or too much', async () => {
    const protobuf = { 'content-type': 'application/x-protobuf' }
    const gzip = { 'content-encoding': 'gzip' }
    const bomb = gzipSync(Buffer.alloc((4 << 20) + 1))
    const deep = Buffer.concat(Array.from({ length: 200 }, () => Buffer.from([0x2a, 0x7f])))
    const cases: readonly [number, unknown, Record<string, string>][] = [
      [400, '{"resourceSpans":', {}],
      [400, { resourceSpans: 5 }, {}],
      [400, { resourceSpans: [{ scopeSpans: [null] }] }, {}],
      [400, Buffer.from('resourceSpans'), protobuf],
      [400, deep, protobuf],
      [400, 'no gzip', gzip],
      [400, '[1]', {}],
      [400, '"abc"', {}],
      [413, otlpBody(Array.from({ length: 2_049 }, () => ({}))), {}],
      [413, bomb, gzip],
      [413, 'x'.repeat((4 << 20) + 1), {}],
      [415, '{}', { 'content-encoding': 'br' }],
      [415, '{}', { 'content-type': 'text/plain' }],
    ]
    for (const [expected, body, headers] of cases) {
      const { status, response } = await post(body, headers)
      expect(status, JSON.stringify(headers)).equal(expected)
      const message = Buffer.from(await response.arrayBuffer()).toString('latin1')
      // The second field of a message, and its length.
      if (headers === protobuf) expect(message.slice(0, 20)).equal('\u0012\u0020The body is no OTL')
      else expect(JSON.parse(message).message).match(/\.$/)
    }
    expect(await stored()).deep.equal([])
  })

  it('lets exporters come again while too much waits for Kafka', async () => {
    fate = 'unavailable'
    const many = (from: number) =>
      otlpBody(Array.from({ length: 400 }, (_, i) => otlpSpan(from + i, { attributes: CHAT })))
    expect(await told(many(0))).deep.equal({})
    const { status, response } = await post(many(400))
    expect([status, response.headers.get('retry-after')]).deep.equal([503, '1'])
    fate = 'ok'
    await queue.close()
    expect(log.stored.flatMap(({ records }) => records)).length(400)
  })

  for (const [protocol, compression] of [
    ['http/protobuf', 'gzip'],
    ['http/json', 'none'],
  ]) {
    it(`takes what the SDK of OpenTelemetry sends over ${protocol}, ${compression}`, async () => {
      const child = spawn(process.execPath, ['test/services/collector/otel-program.ts'], {
        cwd: ROOT,
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {
          ...process.env,
          START_MS: String(NOON_MS),
          OTEL_EXPORTER_OTLP_ENDPOINT: ingest.url,
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_COMPRESSION: compression,
        },
      })
      expect(await once(child, 'exit')).deep.equal([0, null])
      const records = await stored()
      expect(records.map(({ tenant }) => tenant).sort()).deep.equal(['acme', 'beta'])
      const [first] = records.filter(({ tenant }) => tenant === 'acme')
      expect(first).deep.include({
        ...{ model: 'm', provider: 'openai', endpoint: 'api.openai.com:443' },
        ...{ started_at: NOON_US, gaps_us: [250_000, 40_000, 30_000] },
      })
      expect(first!.request_id).match(/^[0-9a-f]{32}-[0-9a-f]{16}$/)
      expect(first!.end).deep.include({
        ...{ status: 'ok', finish_reason: 'stop', duration_us: 400_000, ttft_us: 250_000 },
        ...{ chunks: 3, input_tokens: 9, output_tokens: 3 },
      })
      const text = JSON.stringify(records)
      expect(text).not.contain('secret')
    })
  }
})
