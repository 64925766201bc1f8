import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { expect } from 'chai'
import { writeBody } from '../../../services/collector/write-body.ts'

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** A server with this handler, while `use` runs. */
async function serving<T>(handle: Handle, use: (port: number) => Promise<T>): Promise<T> {
  const server = createServer(handle)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  try {
    return await use((server.address() as AddressInfo).port)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** Every byte of the answers to what was sent, once `count` chunked bodies have ended. */
async function rawAnswers(port: number, sent: string, count: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(sent)
  let text = ''
  for await (const bytes of socket) {
    text += bytes.toString('latin1')
    if (text.split('\r\n0\r\n\r\n').length > count) break
  }
  socket.destroy()
  return text
}

/** What an HTTP client reads. */
async function bodyRead(port: number): Promise<Buffer> {
  const [answer] = await once(request({ port, host: '127.0.0.1' }).end(), 'response')
  return Buffer.concat(await answer.toArray())
}

function body(answer: string): string {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4)
}

describe('collector/write-body', () => {
  it('frames chunks of any size as an HTTP client reads them', async () => {
    const sizes = [1, 9, 10, 15, 16, 255, 256, 4095, 4096, 65_536, 1_048_577]
    const parts = sizes.map((size, i) => Buffer.alloc(size, 97 + i))
    await serving(
      (_request, response) => {
        response.writeHead(200)
        response.flushHeaders()
        for (const part of parts) writeBody(response, part)
        response.end()
      },
      async (port) => {
        expect(Buffer.compare(await bodyRead(port), Buffer.concat(parts))).equal(0)
      },
    )
  })

  it('writes the bytes that the response would write itself', async () => {
    const answers = await serving(
      ({ url }, response) => {
        response.sendDate = false
        response.writeHead(200)
        response.flushHeaders()
        const write = (text: string) =>
          url === '/own' ? response.write(text) : writeBody(response, Buffer.from(text))
        for (const text of ['data: one\n\n', 'x'.repeat(300)]) write(text)
        response.end()
      },
      (port) =>
        Promise.all(
          ['/own', '/ours'].map((url) =>
            rawAnswers(port, `GET ${url} HTTP/1.1\r\nHost: a\r\n\r\n`, 1),
          ),
        ),
    )
    expect(answers[1]).equal(answers[0])
    expect(body(answers[1]!)).match(/^b\r\ndata: one\n\n\r\n12c\r\nx/)
  })

  it('keeps the order of answers that were asked for on one connection', async () => {
    const open: ServerResponse[] = []
    const text = await serving(
      ({ url }, response) => {
        response.sendDate = false
        response.writeHead(200)
        response.flushHeaders()
        open.push(response)
        if (open.length < 2) return
        // The second is written first, while its turn has not come.
        for (const each of [...open].reverse()) {
          writeBody(each, Buffer.from(each === open[1] ? 'second' : 'first'))
        }
        for (const each of [...open].reverse()) each.end()
        expect(url).equal('/2')
      },
      (port) =>
        rawAnswers(port, 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n', 2),
    )
    expect(text.indexOf('first')).above(0).and.below(text.indexOf('second'))
    expect(text.match(/HTTP\/1\.1 200/g)).length(2)
  })

  it('frames nothing where the body has a length or the client is of HTTP/1.0', async () => {
    const answered = (response: ServerResponse, length?: number) => {
      response.writeHead(200, length === undefined ? {} : { 'Content-Length': length })
      response.flushHeaders()
      writeBody(response, Buffer.from('plain'))
      response.end()
    }
    await serving(
      (_request, response) => answered(response, 5),
      async (port) => {
        expect(String(await bodyRead(port))).equal('plain')
      },
    )
    await serving(
      (_request, response) => answered(response),
      async (port) => {
        const text = await rawAnswers(port, 'GET / HTTP/1.0\r\n\r\n', 1)
        expect(body(text)).equal('plain')
      },
    )
  })

  it('says what must drain, and that can be read on once it has', async () => {
    await serving(
      (_request, response) => {
        response.writeHead(200)
        response.flushHeaders()
        const full = writeBody(response, Buffer.alloc(4 << 20))
        expect(full).equal(response.socket)
        full!.once('drain', () => response.end('.'))
      },
      async (port) => {
        expect(await bodyRead(port)).length((4 << 20) + 1)
      },
    )
  })

  it('ends no body with an empty chunk, and writes nothing to who is gone', async () => {
    await serving(
      (_request, response) => {
        response.writeHead(200)
        response.flushHeaders()
        expect(writeBody(response, Buffer.alloc(0))).equal(null)
        writeBody(response, Buffer.from('all'))
        response.end()
        response.on('close', () => expect(writeBody(response, Buffer.from('late'))).equal(null))
      },
      async (port) => {
        const text = await rawAnswers(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 1)
        expect(body(text)).equal('3\r\nall\r\n0\r\n\r\n')
      },
    )
  })
})
