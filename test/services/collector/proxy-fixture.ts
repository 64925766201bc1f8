import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { RequestEnd, TokenEvents } from '../../../schemas/records.ts'
import { SYSTEM_CLOCK, SYSTEM_TIMERS } from '../../../services/collector/clock.ts'
import {
  type ProxyOptions,
  type RunningProxy,
  startProxy,
} from '../../../services/collector/proxy.ts'
import { createRuns } from '../../../services/collector/runs.ts'
import { type Answering, startUpstream, type TestUpstream } from './upstream.ts'

/** A proxy before a small upstream, and all records that it published. */
export interface Bench {
  readonly proxy: RunningProxy
  readonly upstream: TestUpstream
  readonly records: TokenEvents[]
  /** Resolves when so many requests have ended, with the records of their ends. */
  ends(count?: number): Promise<readonly (TokenEvents & { readonly end: RequestEnd })[]>
  close(): Promise<void>
}

/** Starts both. `more` overrides options of the proxy. */
export async function startBench(
  answer: Answering,
  more: Partial<ProxyOptions> = {},
): Promise<Bench> {
  const upstream = await startUpstream(answer)
  const records: TokenEvents[] = []
  const routes = [{ prefix: '', upstream: upstream.url, endpoint: 'pool-a', provider: 'vllm' }]
  const publish = (record: TokenEvents) => void records.push(record)
  const proxy = await startProxy(proxyOptions({ routes, publish, ...more }))
  const isEnd = (record: TokenEvents) => record.end !== null
  return {
    proxy,
    upstream,
    records,
    async ends(count = 1) {
      await until(() => records.filter(isEnd).length >= count)
      return records.filter((record) => record.end !== null) as never
    },
    async close() {
      await proxy.stop(0)
      await upstream.close()
    },
  }
}

/** Options of a proxy in a test. */
export function proxyOptions(
  more: Partial<ProxyOptions> & Pick<ProxyOptions, 'routes'>,
): ProxyOptions {
  return {
    host: '127.0.0.1',
    port: 0,
    labels: { source: 'test', region: 'eu', model: '' },
    tenantHeader: 'x-lens-tenant',
    guardHeaders: false,
    headTimeoutMs: 5000,
    clientKeepAliveMs: 5000,
    connectTimeoutMs: 5000,
    idleTimeoutMs: 5000,
    keepAliveMs: 4000,
    connectionsMax: 100,
    // Longer than any test, so that a request is one record unless its run is full.
    runs: createRuns(600_000),
    publish: () => {},
    clock: SYSTEM_CLOCK,
    timers: SYSTEM_TIMERS,
    ...more,
  }
}

/** Waits for a condition, looking often; the test's own timeout ends the wait. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

export interface Reply {
  readonly status: number
  readonly message: string
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** False when the connection closed before the answer was whole. */
  readonly complete: boolean
}

export interface Call {
  readonly request: ClientRequest
  readonly reply: Promise<Reply>
}

/** Sends a request; the reply resolves also when it is torn, and rejects when there is none. */
export function call(
  url: string,
  path: string,
  options: {
    readonly method?: string
    readonly headers?: Record<string, string>
    readonly body?: string | Buffer
    readonly onData?: (bytes: Buffer, response: IncomingMessage) => void
  } = {},
): Call {
  const { method = 'POST', headers = {}, body = '', onData } = options
  const sent = request(`${url}${path}`, { method, headers, agent: false })
  const reply = new Promise<Reply>((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (response) => {
      const parts: Buffer[] = []
      response.on('data', (bytes: Buffer) => {
        parts.push(bytes)
        onData?.(bytes, response)
      })
      response.on('error', () => {})
      response.on('close', () => {
        resolve({
          status: response.statusCode ?? 0,
          message: response.statusMessage ?? '',
          rawHeaders: response.rawHeaders,
          headers: response.headers,
          body: Buffer.concat(parts),
          complete: response.complete,
        })
      })
    })
  })
  sent.end(body)
  return { request: sent, reply }
}

/** Sends a request for a streamed chat completion. */
export function chatCall(url: string, more: Parameters<typeof call>[2] = {}): Call {
  const body = JSON.stringify({ model: 'llama', stream: true, messages: [] })
  const headers = { 'content-type': 'application/json', ...more.headers }
  return call(url, '/v1/chat/completions', { body, ...more, headers })
}
