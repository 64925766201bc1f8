import { once } from 'node:events'
import { expect } from 'chai'
import { chat, DONE, FINISH, frame, ROLE, stream, usage } from './frames.ts'
import { type Bench, call, chatCall, startBench, until } from './proxy-fixture.ts'
import { type Answering, rawExchange, writeInPieces } from './upstream.ts'

const SSE = { 'content-type': 'text/event-stream' }

describe('collector/proxy', () => {
  let bench: Bench

  async function start(answer: Answering, more: Parameters<typeof startBench>[1] = {}) {
    bench = await startBench(answer, more)
    return bench
  }

  afterEach(() => bench.close())

  it('passes a stream through byte for byte, however it is split, and times it', async () => {
    const text = stream(['Grüße', ' 😀', '', ' \u2028', 'x'.repeat(5000)], 5)
    const bytes = Buffer.from(text.replaceAll('\n\n', '\r\n\r\n'))
    const lengths = [1, 2, 3, 5, 150, 7, 1, 1, 1, 180, 33, 2, 190, 9, 4000]
    await start(async (response) => {
      response.writeHead(200, 'Fine', [
        ...['Content-Type', 'text/event-stream; charset=utf-8', 'X-Odd', 'a', 'x-odd', 'b'],
        ...['Set-Cookie', '1', 'Set-Cookie', '2', 'Date', 'yesterday'],
      ])
      await writeInPieces(response, bytes, lengths)
      response.end()
    })
    const reply = await chatCall(bench.proxy.url).reply
    expect(reply).to.include({ status: 200, message: 'Fine', complete: true })
    expect(reply.body.equals(bytes)).to.equal(true)
    expect(reply.rawHeaders.slice(0, 12)).to.deep.equal([
      ...['Content-Type', 'text/event-stream; charset=utf-8', 'X-Odd', 'a', 'x-odd', 'b'],
      ...['Set-Cookie', '1', 'Set-Cookie', '2', 'Date', 'yesterday'],
    ])
    const [record] = await bench.ends()
    expect(record).to.deep.include({ model: 'llama', endpoint: 'pool-a', provider: 'vllm' })
    expect(record!.gaps_us).to.have.length(4)
    expect(record!.end).to.deep.include({ status: 'ok', finish_reason: 'stop', chunks: 4 })
    expect(record!.end).to.deep.include({ input_tokens: 7, output_tokens: 5, quality: [] })
    expect(record!.end.ttft_us).to.equal(record!.gaps_us[0])
    expect(record!.end.ttft_us).to.be.within(1000, record!.end.duration_us)
  })

  it('stamps chunks when they are read', async () => {
    const writtenUs: number[] = []
    await start(async (response) => {
      response.writeHead(200, SSE)
      for (const content of ['a', 'b', 'c']) {
        await new Promise((resolve) => setTimeout(resolve, 60))
        writtenUs.push(performance.now() * 1000)
        response.write(frame(chat({ content })))
      }
      response.end(DONE)
    })
    const seenUs: number[] = []
    const onData = (bytes: Buffer) => {
      const frames = bytes.toString().split('"content"').length - 1
      for (let i = 0; i < frames; i++) seenUs.push(performance.now() * 1000)
    }
    await chatCall(bench.proxy.url, { onData }).reply
    const [record] = await bench.ends()
    const { gaps_us, end, token_source } = record!
    expect(gaps_us).to.have.length(3)
    // Each was read after it was written, and before the client saw it.
    for (const i of [1, 2]) {
      expect(gaps_us[i]).to.be.above(writtenUs[i]! - seenUs[i - 1]! - 1)
      expect(gaps_us[i]).to.be.below(seenUs[i]! - writtenUs[i - 1]! + 1)
    }
    expect(end.quality).to.deep.equal(['no_usage'])
    expect(token_source).to.equal('chunk')
  })

  for (const guardHeaders of [true, false]) {
    const what = guardHeaders
      ? 'believes guards, and takes out'
      : 'believes no guard, and passes on'
    it(`${what} what they say in headers and trailers`, async () => {
      const answer: Answering = (response) => {
        const ours = { 'lens-guard-threat-detection-us': '20' }
        response.writeHead(200, { ...SSE, ...ours, trailer: 'lens-guard-output-filter-us' })
        response.addTrailers({ 'lens-guard-output-filter-us': '300' })
        response.end(stream(['a']))
      }
      await start(answer, { guardHeaders })
      const headers = { 'lens-guard-validation-us': '1', 'lens-speculative-draft-tokens': '5' }
      const reply = await chatCall(bench.proxy.url, { headers }).reply
      const [record] = await bench.ends()
      const security = { validation_us: 1, threat_detection_us: 20, output_filter_us: 300 }
      expect(record!.end.security).to.deep.equal(guardHeaders ? security : null)
      expect(record!.end.speculative?.draft_tokens).to.equal(guardHeaders ? 5 : undefined)
      expect(record!.end.quality).to.deep.equal(guardHeaders ? ['guarded'] : [])
      const seen = Object.keys({ ...bench.upstream.seen[0]!.headers, ...reply.headers })
      const ours = seen.filter((name) => /^lens-(guard|speculative)-/.test(name))
      expect(ours).to.have.length(guardHeaders ? 0 : 3)
    })
  }

  it('hands the status on before the first token comes', async () => {
    let finish = () => {}
    await start((response) => {
      response.writeHead(200, SSE).flushHeaders()
      finish = () => response.end(DONE)
    })
    const { request, reply } = chatCall(bench.proxy.url)
    await once(request, 'response')
    finish()
    expect((await reply).body.toString()).to.equal(DONE)
  })

  it('sends the request on as it is, but for what concerns the connection', async () => {
    await start((response) => void response.end('{}'))
    const body = '{"model": "llama",\n "stream": false}'
    await chatCall(bench.proxy.url, {
      body,
      headers: {
        Authorization: 'Bearer sk-1',
        'X-Lens-Tenant': 'acme',
        'x-lens-request-id': 'forged',
        'Accept-Encoding': 'gzip, br',
        Connection: 'close, X-Hop',
        'X-Hop': '1',
        TE: 'trailers',
        'X-Mixed-Case': 'kept',
      },
    }).reply
    const [seen] = bench.upstream.seen
    const [record] = await bench.ends()
    expect(seen!.body.toString()).to.equal(body)
    expect(seen!.rawHeaders).to.include('X-Mixed-Case')
    expect(seen!.headers).to.include({
      authorization: 'Bearer sk-1',
      'accept-encoding': 'identity',
      'x-lens-request-id': record!.request_id,
      host: new URL(bench.upstream.url).host,
      'content-length': String(body.length),
    })
    expect(seen!.headers).to.not.have.any.keys('x-lens-tenant', 'x-hop', 'te')
    expect(record!.tenant).to.equal('acme')
    expect(record!.request_id).to.match(/^[0-9a-f-]{36}$/)
    expect(JSON.stringify(bench.records)).to.not.include('sk-1')
  })

  it('counts an error status, and hands its body on', async () => {
    await start((response) => {
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '3' })
      response.end('{"error":{"type":"rate_limit_error"}}')
    })
    const reply = await chatCall(bench.proxy.url).reply
    expect(reply.status).to.equal(429)
    expect(reply.headers['retry-after']).to.equal('3')
    expect(reply.body.toString()).to.equal('{"error":{"type":"rate_limit_error"}}')
    const [record] = await bench.ends()
    expect(record!.end).to.deep.include({ status: 'error', error_type: 'http_429', ttft_us: null })
    expect(record!.model).to.equal('llama')
  })

  it('counts an error inside a stream, with what came before it', async () => {
    await start((response) => {
      const error = frame({ error: { type: 'server_error', message: 'x' } })
      response.writeHead(200, SSE).end(frame(chat({ content: 'a' })) + error + DONE)
    })
    await chatCall(bench.proxy.url).reply
    const [record] = await bench.ends()
    expect(record!.end).to.deep.include({ status: 'error', error_type: 'server_error', chunks: 1 })
  })

  it('hands a torn stream on torn and calls it truncated', async () => {
    const sent = frame(ROLE) + frame(chat({ content: 'a' }))
    await start((response) => {
      response.writeHead(200, SSE)
      response.write(sent, () => response.socket?.destroySoon())
    })
    const reply = await chatCall(bench.proxy.url).reply
    expect(reply).to.include({ status: 200, complete: false })
    expect(reply.body.toString()).to.equal(sent)
    const [record] = await bench.ends()
    expect(record!.end).to.deep.include({ status: 'truncated', chunks: 1, quality: ['truncated'] })
    expect(record!.end.error_type).to.equal('')
  })

  it('calls a reset truncated too', async () => {
    await start((response) => {
      response.writeHead(200, SSE)
      response.write(frame(chat({ content: 'a' })), () => {
        setTimeout(() => response.socket?.resetAndDestroy(), 20)
      })
    })
    expect(await chatCall(bench.proxy.url).reply).to.include({ complete: false })
    expect((await bench.ends())[0]!.end).to.include({ status: 'truncated', chunks: 1 })
  })

  it('calls an end without the end marker truncated', async () => {
    await start((response) => {
      response.writeHead(200, SSE).end(frame(chat({ content: 'a' })) + frame(FINISH))
    })
    expect(await chatCall(bench.proxy.url).reply).to.include({ complete: true })
    expect((await bench.ends())[0]!.end).to.include({ status: 'truncated', finish_reason: 'stop' })
  })

  it('stops the upstream when the client goes away, and calls it cancelled', async () => {
    let upstreamClosed = false
    await start((response) => {
      response.on('close', () => {
        upstreamClosed = true
      })
      response.writeHead(200, SSE).write(frame(chat({ content: 'a' })))
    })
    const onData = () => request.destroy()
    const { request, reply } = chatCall(bench.proxy.url, { onData })
    await reply.catch(() => {})
    const [record] = await bench.ends()
    expect(record!.end).to.deep.include({ status: 'cancelled', error_type: '', chunks: 1 })
    await until(() => upstreamClosed)
  })

  it('stops the upstream also when the client goes away before any answer', async () => {
    let upstreamClosed = false
    await start((response) => {
      response.on('close', () => {
        upstreamClosed = true
      })
    })
    const { request, reply } = chatCall(bench.proxy.url)
    reply.catch(() => {})
    await until(() => bench.upstream.seen.length > 0)
    request.destroy()
    const [record] = await bench.ends()
    expect(record!.end).to.deep.include({ status: 'cancelled', chunks: 0, ttft_us: null })
    await until(() => upstreamClosed)
  })

  it('calls a request ok whose client hangs up after the end marker', async () => {
    await start((response) => void response.writeHead(200, SSE).write(stream(['a', 'b'])))
    const { request, reply } = chatCall(bench.proxy.url, { onData: () => request.destroy() })
    await reply.catch(() => {})
    expect((await bench.ends())[0]!.end).to.deep.include({ status: 'ok', output_tokens: 2 })
  })

  it('reads usage from an answer that is not streamed, and no times', async () => {
    const choices = [{ message: { content: 'hi' }, finish_reason: 'length' }]
    const body = JSON.stringify({ model: 'llama-2', choices, usage: usage(9) })
    await start((response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-a': 'b' }).end(body)
    })
    const request = { body: '{"model":"llama"}' }
    const reply = await call(bench.proxy.url, '/v1/completions?x=1', request).reply
    expect(reply.body.toString()).to.equal(body)
    expect(bench.upstream.seen[0]!.url).to.equal('/v1/completions?x=1')
    const [record] = await bench.ends()
    expect(record).to.deep.include({ model: 'llama', gaps_us: [], tokens: [] })
    const facts = { status: 'ok', finish_reason: 'length', output_tokens: 9, ttft_us: null }
    expect(record!.end).to.deep.include({ ...facts, quality: [] })
  })

  it('flags a stream that was asked for and did not come as one', async () => {
    await start((response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[]}')
    })
    await chatCall(bench.proxy.url).reply
    const [record] = await bench.ends()
    expect(record!.end).to.deep.include({ status: 'ok', quality: ['not_streamed'], ttft_us: null })
  })

  it('names the model of the answer when the request named none', async () => {
    await start((response) => void response.writeHead(200, SSE).end(stream(['a'])))
    await chatCall(bench.proxy.url, { body: '{"stream":true}' }).reply
    expect((await bench.ends())[0]!.model).to.equal('llama')
  })

  it('passes a body of any size, and does without its model when it is too long', async () => {
    const body = Buffer.from(JSON.stringify({ model: 'big', text: 'é'.repeat(3 << 20) }))
    await start((response) => void response.end())
    await chatCall(bench.proxy.url, { body }).reply
    expect(bench.upstream.seen[0]!.body.equals(body)).to.equal(true)
    expect((await bench.ends())[0]!.model).to.equal('')
    expect(bench.proxy.stats().faults).to.deep.equal({ request_too_long: 1 })
  })

  it('passes a chunked body on, and none where there is none', async () => {
    await start((response) => void response.end())
    const head = 'Host: x\r\nConnection: close\r\n'
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`
    for (const method of ['POST', 'GET']) {
      await rawExchange(bench.proxy.url, `${method} /v1/files HTTP/1.1\r\n${chunked}`)
    }
    await rawExchange(bench.proxy.url, `POST /v1/files HTTP/1.1\r\n${head}\r\n`)
    const [post, get, empty] = bench.upstream.seen
    expect([post!.method, get!.method]).to.deep.equal(['POST', 'GET'])
    expect(post!.body.toString()).to.equal('abc')
    expect(get!.body.toString()).to.equal('abc')
    expect(empty!.headers).to.include({ 'content-length': '0' })
  })

  it('passes other methods and paths unmeasured', async () => {
    await start((response, { method, url, headers }) => {
      response.setHeader('x-encoding', String(headers['accept-encoding']))
      response.end(method === 'HEAD' ? undefined : `${method} ${url}`)
    })
    const headers = { 'accept-encoding': 'gzip', 'x-lens-tenant': 'acme' }
    for (const [method, path] of [
      ['GET', '/v1/models'],
      ['GET', '/v1/chat/completions'],
      ['POST', '/v1/embeddings'],
      ['DELETE', '/v1/files/1?a=%20b'],
    ] as const) {
      const reply = await call(bench.proxy.url, path, { method, headers }).reply
      expect(reply.body.toString()).to.equal(`${method} ${path}`)
      expect(reply.headers['x-encoding']).to.equal('gzip')
    }
    expect((await call(bench.proxy.url, '/', { method: 'HEAD' }).reply).complete).to.equal(true)
    expect(bench.upstream.seen[0]!.headers).to.not.have.any.keys('x-lens-tenant')
    expect(bench.records).to.deep.equal([])
    expect(bench.proxy.stats()).to.include({ requests: 5, measured: 0, open: 0 })
  })

  it('does not let a request line choose the server', async () => {
    await start((response) => void response.end())
    const head = 'Host: example.org\r\nConnection: close\r\n\r\n'
    for (const target of ['http://example.org/v1/models', '*']) {
      const answer = await rawExchange(bench.proxy.url, `OPTIONS ${target} HTTP/1.1\r\n${head}`)
      expect(answer).to.match(/^HTTP\/1.1 400 /)
    }
    expect(bench.upstream.seen).to.deep.equal([])
  })
})
