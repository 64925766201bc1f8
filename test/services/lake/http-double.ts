import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request that the double has got. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What it answers; `hang` keeps the request open, `cut` ends the connection without an answer. */
export type Reply =
  | {
      readonly status: number
      readonly headers?: Record<string, string>
      readonly body?: Uint8Array
    }
  | 'hang'
  | 'cut'

export interface HttpDouble {
  readonly url: string
  readonly seen: Seen[]
  stop(): Promise<void>
}

/** A real HTTP server that gives these answers in order, the last one again and again. */
export async function startDouble(replies: readonly Reply[]): Promise<HttpDouble> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const reply = replies[Math.min(seen.length, replies.length - 1)]!
      const { method = '', url: path = '', headers } = request
      seen.push({ method, path, headers, body: Buffer.concat(chunks) })
      if (reply === 'hang') return
      if (reply === 'cut') {
        request.socket.destroy()
        return
      }
      response.writeHead(reply.status, reply.headers).end(reply.body)
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    async stop() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
