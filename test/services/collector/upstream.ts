import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'

/** What reached the upstream. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export type Answering = (response: ServerResponse, seen: Seen) => void | Promise<void>

export interface TestUpstream {
  readonly url: string
  readonly seen: Seen[]
  /** How many connections were opened to it. */
  connections(): number
  close(): Promise<void>
}

/** A small real server that answers each request, when its body has come, with `answer`. */
export async function startUpstream(answer: Answering): Promise<TestUpstream> {
  const seen: Seen[] = []
  let connections = 0
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const { method = '', url = '', rawHeaders, headers } = request
    const entry = { method, url, rawHeaders, headers, body: Buffer.concat(parts) }
    seen.push(entry)
    await answer(response, entry)
  })
  server.on('connection', () => {
    connections += 1
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    connections: () => connections,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Writes bytes in pieces of the given lengths, each in a read of its own. */
export async function writeInPieces(
  response: ServerResponse,
  bytes: Buffer,
  lengths: readonly number[],
): Promise<void> {
  let from = 0
  for (const length of [...lengths, bytes.length]) {
    if (from >= bytes.length) return
    response.write(bytes.subarray(from, from + length))
    from += length
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Sends a request as the bytes that it is, and gives back all bytes until the server closes. */
export async function rawExchange(url: string, request: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const parts: Buffer[] = []
  socket.on('data', (part) => parts.push(part))
  socket.write(request)
  await once(socket, 'close')
  return Buffer.concat(parts).toString('latin1')
}
