import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type RunningProxy, startProxy } from '../../../services/collector/proxy.ts'
import { proxyOptions } from './proxy-fixture.ts'
import { ANSWERS, REQUESTS } from './smuggled.ts'
import { readStrictly } from './strict-http.ts'

/** So many turns of the loop without a byte, a pause each: a stall of the process is one. */
const QUIET_TURNS = 12
const PAUSE_MS = 5
const AT_ONCE = 40
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const ASK = 'GET /one HTTP/1.1\r\nHost: a\r\n\r\n'

interface Between {
  readonly proxy: RunningProxy
  /** All bytes of each connection to the upstream. */
  readonly upstream: readonly string[]
}

/** A proxy before an upstream of bytes: `answer` gets how many whole requests there were before. */
async function between<T>(
  answer: (nth: number) => string,
  use: (between: Between) => Promise<T>,
): Promise<T> {
  const upstream: string[] = []
  const sockets = new Set<Socket>()
  let answered = 0
  const server = createServer((socket) => {
    const index = upstream.push('') - 1
    let own = 0
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      upstream[index] += bytes.toString('latin1')
      const { messages } = readStrictly(upstream[index]!, 'request')
      for (; own < messages.length; own++) socket.write(answer(answered++), 'latin1')
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const routes = [{ prefix: '', upstream: `http://127.0.0.1:${port}`, endpoint: '', provider: '' }]
  const proxy = await startProxy(proxyOptions({ routes }))
  try {
    return await use({ proxy, upstream })
  } finally {
    await proxy.stop(0)
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

/** Sends bytes, one part after the other when it has become quiet; all that came back. */
async function exchange(url: string, parts: readonly string[]): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  let quiet = 0
  let isOpen = true
  socket.on('error', () => {})
  socket.on('close', () => {
    isOpen = false
  })
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
    quiet = 0
  })
  for (const part of parts) {
    if (!isOpen) break
    socket.write(part, 'latin1')
    for (quiet = 0; isOpen && quiet < QUIET_TURNS; quiet++) await sleep(PAUSE_MS)
  }
  socket.destroy()
  return text
}

async function forAll<T>(all: readonly T[], check: (one: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < all.length; from += AT_ONCE) {
    const checks = await Promise.allSettled(all.slice(from, from + AT_ONCE).map(check))
    for (const one of checks) if (one.status === 'rejected') throw one.reason
  }
}

describe('collector/smuggling', function () {
  this.timeout(60_000)

  it('reads what is plain, and nothing else', () => {
    const plain = readStrictly(`${ASK}POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nokG`, 'request')
    expect(plain.messages.map(({ body }) => body)).deep.equal(['', 'ok'])
    expect(plain).include({ fault: null, rest: 'G' })
    const faults = REQUESTS.filter((bytes) => readStrictly(bytes, 'request').fault !== null)
    expect(faults.length).above(150)
  })

  it('lets an upstream see as many requests as it took itself, each in one reading', async () => {
    expect(REQUESTS).length(267)
    let passed = 0
    await forAll(REQUESTS, (bytes) =>
      between(
        () => OK,
        async ({ proxy, upstream }) => {
          const answers = await exchange(proxy.url, [bytes])
          const name = JSON.stringify(bytes)
          const seen = upstream.map((text) => readStrictly(text, 'request'))
          for (const { fault } of seen) expect(fault, name).equal(null)
          const begun = seen.reduce(
            (n, { messages, rest }) => n + messages.length + +(rest !== ''),
            0,
          )
          expect(begun, name).at.most(proxy.stats().requests)
          const { messages, fault } = readStrictly(answers, 'answer')
          expect(fault, name).equal(null)
          expect(messages.filter(({ body }) => body === 'ok').length, name).at.most(begun)
          passed += +(begun > 0)
        },
      ),
    )
    // Most are refused; some are plain enough.
    expect(passed).within(20, REQUESTS.length / 2)
  })

  it('gives a client no answer that it did not ask for, and each in one reading', async () => {
    expect(ANSWERS).length(161)
    let passed = 0
    await forAll(ANSWERS, (bytes) =>
      between(
        (nth) => (nth === 0 ? bytes : OK),
        async ({ proxy }) => {
          const text = await exchange(proxy.url, [ASK, ASK])
          const name = JSON.stringify(bytes)
          const { messages, fault } = readStrictly(text, 'answer')
          expect(fault, name).equal(null)
          expect(messages.length, name).at.most(2)
          for (const { body } of messages) expect(body, name).not.equal('injected')
          passed += +(messages[0]?.body === 'hello')
        },
      ),
    )
    expect(passed).within(10, ANSWERS.length / 2)
  })
})
