import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'chai'
import type { RequestEnd, TokenEvents } from '../../../schemas/records.ts'
import {
  type MeasuredFetchOptions,
  measuredFetch,
} from '../../../services/collector/measured-fetch.ts'
import { createRuns } from '../../../services/collector/runs.ts'
import { chat, DONE, frame, stream, usage } from './frames.ts'
import { until } from './proxy-fixture.ts'
import {
  type Answering,
  closedPort,
  startUpstream,
  type TestUpstream,
  writeInPieces,
} from './upstream.ts'

const SSE = { 'content-type': 'text/event-stream' }
const BODY = JSON.stringify({ model: 'llama', stream: true, messages: [] })
const CALL: RequestInit = { method: 'POST', body: BODY }

describe('collector/measured-fetch', () => {
  let upstream: TestUpstream
  let records: TokenEvents[]
  let counted: string[]
  let runs: ReturnType<typeof createRuns>

  async function start(answer: Answering, more: Partial<MeasuredFetchOptions> = {}) {
    upstream = await startUpstream(answer)
    records = []
    counted = []
    // Longer than any test: a request is one record.
    runs = createRuns(600_000)
    return measuredFetch({
      labels: { endpoint: 'pool-a', tenant: 'acme' },
      onRecord: (record) => records.push(record),
      count: (reason) => counted.push(reason),
      runs,
      ...more,
    })
  }

  async function end(): Promise<TokenEvents & { readonly end: RequestEnd }> {
    await until(() => records.length > 0)
    return records[0] as never
  }

  afterEach(() => upstream.close())

  const url = () => `${upstream.url}/v1/chat/completions`

  it('hands the answer on as it is, and measures it', async () => {
    const text = stream(['Grüße', ' 😀', ' \u2028'], 5)
    const get = await start(async (response) => {
      response.writeHead(200, 'Fine', { ...SSE, 'x-odd': 'a' })
      await writeInPieces(response, Buffer.from(text), [1, 2, 150, 7, 180])
      response.end()
    })
    const response = await get(url(), CALL)
    expect(response).to.include({ status: 200, statusText: 'Fine', ok: true, url: url() })
    expect(response.headers.get('x-odd')).to.equal('a')
    expect(await response.text()).to.equal(text)
    const record = await end()
    expect(record).to.deep.include({ model: 'llama', endpoint: 'pool-a', tenant: 'acme' })
    expect(record.gaps_us).to.have.length(3)
    expect(record.end).to.deep.include({ status: 'ok', output_tokens: 5, attempts: 1, quality: [] })
    expect(upstream.seen[0]!.body.toString()).to.equal(BODY)
    expect(runs.open()).to.equal(0)
  })

  it('gives each request an id of its own, and the model that it names', async () => {
    const get = await start((response) => void response.writeHead(200, SSE).end(DONE), {
      labels: { endpoint: 'e', request_id: 'always the same', model: 'fallback' },
    })
    await (await get(url(), CALL)).text()
    await (await get(new Request(url(), { method: 'POST', body: '{}' }))).text()
    await until(() => records.length === 2)
    expect(new Set(records.map(({ request_id }) => request_id)).size).to.equal(2)
    expect(records.map(({ model }) => model)).to.deep.equal(['llama', 'fallback'])
  })

  it('passes on what is in no dialect', async () => {
    const get = await start((response) => void response.end('hello'))
    expect(await (await get(`${upstream.url}/v1/models`)).text()).to.equal('hello')
    expect(await (await get(new URL(url()), { method: 'GET' })).text()).to.equal('hello')
    expect(records).to.deep.equal([])
  })

  it('measures a whole answer, an error status and an answer without a body', async () => {
    const answers = [
      { status: 200, body: JSON.stringify({ model: 'm', choices: [], usage: usage(3) }) },
      { status: 429, body: '{"error":{"type":"secret"}}' },
      { status: 204, body: '' },
    ]
    const get = await start((response) => {
      const { status, body } = answers.shift()!
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
    const call = { method: 'POST', body: '{"model":"llama"}' }
    expect(await (await get(url(), call)).json()).to.have.property('usage')
    expect((await (await get(url(), call)).text()).length).to.equal(27)
    expect((await get(url(), call)).status).to.equal(204)
    await until(() => records.length === 3)
    const ends = records.map(({ end: e }) => [
      e!.status,
      e!.error_type,
      e!.output_tokens,
      e!.ttft_us,
    ])
    expect(ends).to.deep.equal([
      ['ok', '', 3, null],
      ['error', 'http_429', null, null],
      ['ok', '', null, null],
    ])
  })

  it('tells an abort, a tear and a server that is not there apart', async () => {
    const get = await start(async (response) => {
      response.writeHead(200, SSE)
      response.write(frame(chat({ content: 'a' })))
    })
    const aborting = new AbortController()
    const reading = async (call: RequestInit) => {
      const reader = (await get(url(), call)).body!.getReader()
      await reader.read()
      return reader
    }
    const aborted = await reading({ ...CALL, signal: aborting.signal })
    aborting.abort()
    expect(await aborted.read().catch((error: Error) => error.name)).to.equal('AbortError')
    await (await reading(CALL)).cancel()
    const torn = await reading(CALL)
    await upstream.close()
    expect(await torn.read().catch((error: Error) => error.name)).to.equal('TypeError')
    const nobody = `http://127.0.0.1:${await closedPort()}/v1/messages`
    expect(await get(nobody, CALL).catch((error: Error) => error.name)).to.equal('TypeError')
    const early = { ...CALL, signal: AbortSignal.abort() }
    expect(await get(nobody, early).catch((error: Error) => error.name)).to.equal('AbortError')
    await until(() => records.length === 5)
    const ends = records.map(({ end: e }) => [e!.status, e!.error_type, e!.chunks])
    expect(ends).to.deep.equal([
      ['cancelled', '', 1],
      ['cancelled', '', 1],
      ['truncated', '', 1],
      ['error', 'connection_refused', 0],
      ['cancelled', '', 0],
    ])
    upstream = await startUpstream(() => {})
  })

  it('stamps what it reads ahead of a caller that is slow', async () => {
    const get = await start(async (response) => {
      response.writeHead(200, SSE)
      for (const content of ['a', 'b', 'c']) {
        response.write(frame(chat({ content })))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      response.end(DONE)
    })
    const response = await get(url(), CALL)
    // The caller has read nothing yet.
    const record = await end()
    expect(record.end).to.deep.include({ status: 'ok', chunks: 3 })
    expect(record.end.quality).to.deep.equal(['no_usage'])
    expect((await response.text()).split('content')).to.have.length(4)
  })

  it('waits for a caller that leaves more than it reads ahead, and flags the times', async () => {
    const text = stream(Array.from({ length: 40 }, () => 'x'.repeat(10_000)))
    const get = await start((response) => void response.writeHead(200, SSE).end(text))
    const response = await get(url(), CALL)
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(records).to.deep.equal([])
    expect(await response.text()).to.equal(text)
    expect((await end()).end.quality).to.include('slow_client')
  })

  it('ends what nobody will read', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const text = stream(Array.from({ length: 40 }, () => 'x'.repeat(10_000)))
    let closed = false
    const get = await start((response) => {
      response.on('close', () => {
        closed = true
      })
      response.writeHead(200, SSE).write(text)
    })
    expect((await get(url(), CALL)).status).to.equal(200)
    while (records.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      gc()
    }
    expect(records[0]!.end).to.deep.include({ status: 'cancelled' })
    expect(runs.open()).to.equal(0)
    await until(() => closed)
  })

  it('is the same to its caller', async () => {
    const get = await start((response) => void response.writeHead(200, SSE).end(DONE))
    const headers = new Map([['authorization', 'Bearer a']]).entries()
    const init = { ...CALL, headers: headers as never }
    const response = await get(url(), init)
    expect(upstream.seen[0]!.headers.authorization).to.equal('Bearer a')
    expect(response.clone().clone()).to.include({ url: url(), redirected: false, type: 'basic' })
    expect(await response.clone().text()).to.equal(DONE)
    const reader = response.body!.getReader({ mode: 'byob' })
    const { value } = await reader.read(new Uint8Array(5))
    expect(Buffer.from(value!).toString()).to.equal(DONE.slice(0, 5))
    reader.releaseLock()
    let rest = ''
    for await (const bytes of response.body!) rest += Buffer.from(bytes).toString()
    expect(rest).to.equal(DONE.slice(5))
    const aborting = new AbortController()
    const aborted = await get(url(), { ...CALL, signal: aborting.signal })
    await new Promise((resolve) => setTimeout(resolve, 20))
    aborting.abort('user left')
    expect(await aborted.text().catch((reason) => reason)).to.equal('user left')
    expect(await get('/relative', CALL).catch((error: Error) => error.name)).to.equal('TypeError')
  })

  it('takes an abort for one whatever its reason, and its own time-out for the server', async () => {
    const get = await start((response) => {
      response.writeHead(200, SSE).write(frame(chat({ content: 'a' })))
    })
    const reasons = ['user left', new Error('user left'), undefined]
    for (const reason of reasons) {
      const aborting = new AbortController()
      const response = await get(url(), { ...CALL, signal: aborting.signal })
      await response.body!.getReader().read()
      aborting.abort(reason)
    }
    const late = await get(url(), { ...CALL, signal: AbortSignal.timeout(30) })
    await late.text().catch(() => {})
    const ends = records.map(({ end: e }) => [e!.status, e!.error_type])
    expect(ends).to.deep.equal([...reasons.map(() => ['cancelled', '']), ['truncated', 'timeout']])
  })

  it('leaves alone an answer that cannot be made again', async () => {
    const odd = { status: 999, headers: new Headers(SSE), body: new ReadableStream() } as never
    const get = await start(() => {}, { fetch: async () => odd })
    expect(await get(url(), CALL)).to.equal(odd)
    expect(records[0]!.end).to.include({ status: 'error', error_type: 'http_999' })
  })

  it('never throws for its own trouble', async () => {
    const get = await start((response) => void response.writeHead(200, SSE).end(DONE), {
      onRecord: () => {
        throw new Error('mine')
      },
      count: (reason) => {
        counted.push(reason)
        throw new Error('mine')
      },
    })
    const body = new Blob(['{"model":'])
    expect(await (await get(url(), { method: 'POST', body })).text()).to.equal(DONE)
    expect(counted).to.deep.equal(['request_not_json'])
  })
})
