import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What goes wrong with a request: an answer with that status; the connection broken before the
 * object is taken, or after; an answer that does not come, or an error in one that says 200.
 */
export type S3Fault = 429 | 500 | 503 | 409 | 'reset' | 'lost' | 'hang' | 'error in 200'

export interface S3Double {
  readonly url: string
  /** Objects by bucket and key. */
  readonly objects: Map<string, Buffer>
  /** Puts that have come, by name, those that failed too. */
  readonly puts: string[]
  /** What goes wrong with the next puts of names that match, one after the other. */
  fail(name: RegExp, faults: readonly S3Fault[]): void
  stop(): Promise<void>
}

/** A server that keeps objects as S3 does, with conditional puts, and fails as it is told. */
export async function startS3Double(): Promise<S3Double> {
  const objects = new Map<string, Buffer>()
  const puts: string[] = []
  let failing: { readonly name: RegExp; readonly faults: S3Fault[] } | null = null

  function answer(response: ServerResponse, status: number, code: string): void {
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`
    response.writeHead(status, { 'content-type': 'application/xml' }).end(body)
  }

  function put(name: string, body: Buffer, { headers }: IncomingMessage, response: ServerResponse) {
    puts.push(name)
    const fault = failing?.name.test(name) ? failing.faults.shift() : undefined
    if (fault === 'reset') return void response.destroy()
    if (fault === 'hang') return
    if (fault === 'error in 200') return answer(response, 200, 'InternalError')
    if (typeof fault === 'number') return answer(response, fault, CODES[fault])
    if (headers['if-none-match'] === '*' && objects.has(name)) {
      return answer(response, 412, 'PreconditionFailed')
    }
    objects.set(name, body)
    if (fault === 'lost') return void response.destroy()
    response.writeHead(200, { etag: '"0"' }).end()
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const name = decodeURIComponent(request.url!.replace(/^\/|\?.*$/g, ''))
      if (request.method === 'PUT') return put(name, Buffer.concat(chunks), request, response)
      const there = objects.get(name)
      if (there) response.writeHead(200).end(there)
      else answer(response, 404, 'NoSuchKey')
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    objects,
    puts,
    fail(name, faults) {
      failing = { name, faults: [...faults] }
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

const CODES: Readonly<Record<Extract<S3Fault, number>, string>> = {
  409: 'ConditionalRequestConflict',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'SlowDown',
}
