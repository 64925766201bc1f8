import { once } from 'node:events'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { expect } from 'chai'
import { createRuns } from '../../../services/collector/runs.ts'
import { chat, DONE, frame, stream, usage } from './frames.ts'
import { type Bench, call, chatCall, startBench, until } from './proxy-fixture.ts'
import { type Answering, closedPort, rawExchange } from './upstream.ts'

const SSE = { 'content-type': 'text/event-stream' }

function toUpstream(upstream: string) {
  return [{ prefix: '', upstream, endpoint: '', provider: '' }]
}

describe('collector/proxy in trouble', () => {
  let bench: Bench

  async function start(answer: Answering, more: Parameters<typeof startBench>[1] = {}) {
    bench = await startBench(answer, more)
    return bench
  }

  afterEach(() => bench.close())

  it('answers 502 when the upstream is not there', async () => {
    await start(() => {}, { routes: toUpstream(`http://127.0.0.1:${await closedPort()}`) })
    const reply = await chatCall(bench.proxy.url).reply
    expect(reply.status).to.equal(502)
    expect(JSON.parse(reply.body.toString()).error.code).to.equal('connection_refused')
    const [record] = await bench.ends()
    const facts = { status: 'error', error_type: 'connection_refused', chunks: 0 }
    expect(record!.end).to.deep.include(facts)
  })

  it('answers 502 when the upstream hangs up without an answer', async () => {
    await start((response) => response.socket?.destroy() as undefined)
    expect((await chatCall(bench.proxy.url).reply).status).to.equal(502)
    expect((await bench.ends())[0]!.end).to.include({ error_type: 'connection_reset' })
  })

  it('answers 502 when the head of an answer is one that nobody may send', async () => {
    const broken = createTcpServer((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\x00\r\nContent-Length: 0\r\n\r\n'))
      socket.on('error', () => {})
    })
    await once(broken.listen(0, '127.0.0.1'), 'listening')
    const { port } = broken.address() as AddressInfo
    await start(() => {}, { routes: toUpstream(`http://127.0.0.1:${port}`) })
    for (const _ of [1, 2]) {
      const reply = await chatCall(bench.proxy.url).reply
      expect(reply.status).equal(502)
      expect(JSON.parse(String(reply.body)).error.code).equal('bad_answer')
    }
    const ends = await bench.ends(2)
    for (const { end } of ends) expect(end).include({ status: 'error', error_type: 'bad_answer' })
    expect(bench.proxy.stats().open).equal(0)
    broken.close()
  })

  it('passes the 129th choice on and counts its chunks, whose tokens it does not know', async () => {
    const chunks = Array.from({ length: 130 }, (_, index) =>
      frame({ choices: [{ index, delta: { content: 'a' } }], usage: usage(1) }),
    )
    const text = [...chunks, DONE].join('')
    await start((response) => void response.writeHead(200, SSE).end(text))
    expect((await chatCall(bench.proxy.url).reply).body.toString()).to.equal(text)
    expect((await bench.ends())[0]!.end.chunks).to.equal(130)
    expect(bench.proxy.stats().faults).to.deep.equal({ choice_not_counted: 2 })
  })

  it('refuses the calls that are too many on one connection, and counts them', async () => {
    const held: (() => void)[] = []
    await start((response) => void held.push(() => response.end('ok')), { connectionsMax: 2 })
    const get = (more = '') => `GET /v1/models HTTP/1.1\r\nHost: x\r\n${more}\r\n`
    const exchange = rawExchange(
      bench.proxy.url,
      get() + get() + get() + get('Connection: close\r\n'),
    )
    await until(() => held.length === 2 && bench.proxy.stats().refused.calls === 2)
    for (const release of held) release()
    const statuses = (await exchange).match(/HTTP\/1.1 \d+/g)
    expect(statuses).to.deep.equal([200, 200, 503, 503].map((status) => `HTTP/1.1 ${status}`))
    held.length = 0
    const after = call(bench.proxy.url, '/v1/models', { method: 'GET' })
    await until(() => held.length === 1)
    held[0]!()
    expect((await after.reply).status).to.equal(200)
    expect(bench.proxy.stats()).to.deep.include({
      requests: 5,
      refused: { connections: 0, calls: 2, framing: 0 },
    })
  })

  it('closes the connections that are too many, and counts them', async () => {
    const held: (() => void)[] = []
    await start((response) => void held.push(() => response.end('ok')), { connectionsMax: 1 })
    const first = call(bench.proxy.url, '/v1/models', { method: 'GET' })
    await until(() => held.length === 1)
    expect(await rawExchange(bench.proxy.url, '').catch((error) => error.code)).to.equal('')
    expect(bench.proxy.stats().refused).to.deep.equal({ connections: 1, calls: 0, framing: 0 })
    held[0]!()
    expect((await first.reply).status).to.equal(200)
  })

  it('serves others while clients are slow to say what they want, and lets those go', async () => {
    await start((response) => void response.end('there'), { headTimeoutMs: 1_000 })
    const slow = Array.from({ length: 90 }, () =>
      rawExchange(bench.proxy.url, 'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX: '),
    )
    const reply = await call(bench.proxy.url, '/v1/models', { method: 'GET' }).reply
    expect(reply.body.toString()).equal('there')
    for (const answer of await Promise.all(slow)) expect(answer).match(/^HTTP\/1\.1 408 /)
    expect(bench.upstream.seen).length(1)
    expect(bench.proxy.stats()).include({ requests: 1, open: 0 })
  })

  it('refuses a body of a coding that it would not pass on', async () => {
    await start((response) => void response.end())
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n'
    const rest = 'Connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
    const answer = await rawExchange(bench.proxy.url, head + rest)
    expect(answer)
      .match(/^HTTP\/1\.1 501 /)
      .and.match(/bad_framing/)
    expect(bench.upstream.seen).deep.equal([])
    expect(bench.proxy.stats().refused.framing).equal(1)
  })

  it('lets go of an answer whose turn never comes', async () => {
    await start((response, { url }) => {
      // Both begin, neither ends; the second one is more than its buffers hold.
      response.writeHead(200, SSE).write('x'.repeat(url === '/2' ? 1 << 20 : 1))
    })
    const { hostname, port } = new URL(bench.proxy.url)
    const socket = connect(Number(port), hostname)
    socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => bench.upstream.seen.length === 2 && bench.proxy.stats().open === 2)
    await once(socket, 'data')
    socket.destroy()
    await until(() => bench.proxy.stats().open === 0)
  })

  it('refuses a head that is too long', async () => {
    await start((response) => void response.end())
    const head = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
    expect(await rawExchange(bench.proxy.url, head)).match(/^HTTP\/1\.1 431 /)
    expect(bench.upstream.seen).deep.equal([])
  })

  it('reads a body to its end that has nowhere to go, so that its connection can go on', async () => {
    await start(() => {}, { routes: toUpstream(`http://127.0.0.1:${await closedPort()}`) })
    const body = 'x'.repeat(4 << 20)
    const post = `POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const get = 'GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    const answers = await rawExchange(bench.proxy.url, post + get)
    expect(answers.match(/HTTP\/1.1 502 /g)).to.have.length(2)
  })

  it('adds no date to an answer without one', async () => {
    await start((response) => {
      response.sendDate = false
      response.end()
    })
    expect((await chatCall(bench.proxy.url).reply).headers).to.not.have.any.keys('date')
  })

  it('holds nothing of a request that has ended', async () => {
    const runs = createRuns(600_000)
    await start((response) => void response.writeHead(200, SSE).end(stream(['a'])), { runs })
    await chatCall(bench.proxy.url).reply
    await bench.ends()
    expect(runs.open()).to.equal(0)
    await until(() => bench.proxy.stats().open === 0)
  })

  it('gives an upstream up that is silent for too long', async () => {
    await start(
      (response, { url }) => {
        if (url.includes('late')) response.writeHead(200, SSE).write(frame(chat({ content: 'a' })))
      },
      { idleTimeoutMs: 80 },
    )
    expect((await chatCall(bench.proxy.url).reply).status).to.equal(502)
    const late = await call(bench.proxy.url, '/late/completions', { body: '{}' }).reply
    expect(late).to.include({ status: 200, complete: false })
    const [first, second] = await bench.ends(2)
    expect(first!.end).to.include({ status: 'error', error_type: 'timeout' })
    expect(second!.end).to.include({ status: 'truncated', error_type: 'timeout', chunks: 1 })
  })

  it('waits for a slow client without losing a byte, and flags the times', async () => {
    const bytes = Buffer.from(stream(Array.from({ length: 60 }, () => 'y'.repeat(100_000))))
    await start((response) => void response.writeHead(200, SSE).end(bytes))
    let paused = false
    const onData = (_: Buffer, response: { pause(): void; resume(): void }) => {
      if (paused) return
      paused = true
      response.pause()
      setTimeout(() => response.resume(), 100)
    }
    const reply = await chatCall(bench.proxy.url, { onData }).reply
    expect(reply.body.equals(bytes)).to.equal(true)
    const [record] = await bench.ends()
    expect(record!.end).to.include({ status: 'ok', chunks: 60 })
    expect(record!.end.quality).to.include('slow_client')
  })

  it('goes on when measuring fails', async () => {
    const publish = () => {
      throw new Error('no telemetry')
    }
    const text = stream(Array.from({ length: 600 }, () => 'a'))
    await start((response) => void response.writeHead(200, SSE).end(text), { publish })
    expect((await chatCall(bench.proxy.url).reply).body.toString()).to.equal(text)
    expect(bench.proxy.stats().faults).to.deep.equal({ tap_failed: 2 })
  })

  it('sends a record when a run is full', async () => {
    const text = stream(Array.from({ length: 1100 }, () => 'a'))
    await start((response) => void response.writeHead(200, SSE).end(text))
    await chatCall(bench.proxy.url).reply
    const [last] = await bench.ends()
    expect(bench.records.map((record) => record.gaps_us.length)).to.deep.equal([512, 512, 76])
    expect(bench.records.map((record) => record.first_chunk)).to.deep.equal([0, 512, 1024])
    expect(last!.end).to.deep.include({ chunks: 1100, quality: ['buffered'] })
  })

  it('does not read what is compressed in spite of its asking', async () => {
    await start((response) => {
      response.writeHead(200, { ...SSE, 'content-encoding': 'gzip' }).end(Buffer.from([1, 2, 3]))
    })
    expect((await chatCall(bench.proxy.url).reply).body).to.deep.equal(Buffer.from([1, 2, 3]))
    const [record] = await bench.ends()
    expect(record!.end.quality).to.include('encoded')
    expect(record!.end).to.include({ status: 'ok', ttft_us: null })
  })

  it('uses connections to the upstream again, until they are idle for too long', async () => {
    await start((response) => void response.end(), { keepAliveMs: 60 })
    await chatCall(bench.proxy.url).reply
    await chatCall(bench.proxy.url).reply
    expect(bench.upstream.connections()).to.equal(1)
    await new Promise((resolve) => setTimeout(resolve, 150))
    await chatCall(bench.proxy.url).reply
    expect(bench.upstream.connections()).to.equal(2)
  })

  it('keeps the path of the upstream in front', async () => {
    await start((response) => void response.end())
    const { upstream } = bench
    const second = await startBench(() => {}, { routes: toUpstream(`${upstream.url}/base/`) })
    await call(second.proxy.url, '/v1/models', { method: 'GET' }).reply
    await second.close()
    expect(upstream.seen[0]!.url).to.equal('/base/v1/models')
  })

  it('lets open requests end when it stops, and breaks off those that do not', async () => {
    const finish: (() => void)[] = []
    await start((response) => {
      response.writeHead(200, SSE).write(frame(chat({ content: 'a' })))
      finish.push(() => response.end(DONE))
    })
    const calls = [chatCall(bench.proxy.url), chatCall(bench.proxy.url)]
    await until(() => finish.length === 2)
    const stopped = bench.proxy.stop(150)
    finish[0]!()
    await stopped
    const replies = await Promise.all(calls.map(({ reply }) => reply))
    expect(replies.map(({ complete }) => complete).sort()).to.deep.equal([false, true])
    const statuses = (await bench.ends(2)).map(({ end }) => `${end.status} ${end.error_type}`)
    expect(statuses).to.deep.equal(['ok ', 'cancelled shutdown'])
  })
})
