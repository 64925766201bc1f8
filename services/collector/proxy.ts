import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listen } from '../bus/listen.ts'
import { type Clock, type Moment, momentNow, type Timers } from './clock.ts'
import type { Dialect } from './dialect/dialect.ts'
import { dialectOf } from './dialect/table.ts'
import { forward } from './forward.ts'
import { attemptOf, isPlainlyFramed, requestHeaders } from './headers.ts'
import type { RequestLabels } from './meter.ts'
import { isPhaseHeader } from './phases.ts'
import { refuse } from './refuse.ts'
import { watchRequest } from './request-body.ts'
import { createRoutes, type Route, type RouteRule } from './routes.ts'
import type { Publish, Runs } from './runs.ts'
import { createTap, type Tap, type TapContext } from './tap.ts'
import type { TokenCounts } from './token-counts.ts'

export interface ProxyOptions {
  /** One of them for every path that no other one has. */
  readonly routes: readonly RouteRule[]
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
  readonly labels: Pick<RequestLabels, 'source' | 'region' | 'model'>
  /** Lower case. */
  readonly tenantHeader: string
  /** Whether headers and trailers of guards and draft models are believed, and taken out. */
  readonly guardHeaders: boolean
  /** Within which the head of a request must have come. */
  readonly headTimeoutMs: number
  /** How long an idle connection of a client is kept. */
  readonly clientKeepAliveMs: number
  readonly connectTimeoutMs: number
  readonly idleTimeoutMs: number
  /** How long an idle connection to the upstream is kept. */
  readonly keepAliveMs: number
  readonly connectionsMax: number
  readonly runs: Runs
  readonly publish: Publish
  readonly tokenCounts?: TokenCounts | null
  readonly clock: Clock
  readonly timers: Timers
}

export interface ProxyStats {
  readonly requests: number
  readonly measured: number
  readonly open: number
  /** Trouble with the measuring, by reason; the calls themselves went through. */
  readonly faults: Readonly<Record<string, number>>
  /** Connections and calls beyond connectionsMax, and bodies of a coding that is not known. */
  readonly refused: Readonly<Record<'connections' | 'calls' | 'framing', number>>
}

export interface RunningProxy {
  readonly url: string
  stats(): ProxyStats
  /** Lets open calls end for `graceMs`, then breaks them off. */
  stop(graceMs: number): Promise<void>
}

const TENANT_LENGTH_MAX = 256

/** How often connections are looked at that are slow to say what they want. */
const LOOK_MS = 1_000

/** Starts the proxy. Throws LensError configuration_invalid when it cannot listen. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const calls = createCalls(options)
  const { headTimeoutMs, clientKeepAliveMs } = options
  const limits = { headersTimeout: headTimeoutMs, keepAliveTimeout: clientKeepAliveMs }
  const server = createServer({ ...limits, connectionsCheckingInterval: LOOK_MS }, calls.handle)
  server.maxConnections = options.connectionsMax
  server.on('drop', calls.dropped)
  const url = await listen(server, options.host, options.port)
  return {
    url,
    stats: calls.stats,
    async stop(graceMs) {
      const closed = once(server, 'close')
      server.close()
      await calls.stop(graceMs)
      server.closeAllConnections()
      await closed
    },
  }
}

/** The calls that are under way, and the upstreams that they go to. */
function createCalls(options: ProxyOptions) {
  const { clock, timers, tenantHeader, guardHeaders, connectTimeoutMs, idleTimeoutMs } = options
  const isOurs = guardHeaders ? isPhaseHeader : () => false
  const routes = createRoutes(options.routes, options.keepAliveMs)
  const context = { connectTimeoutMs, idleTimeoutMs, isOurs, clock, timers }
  const tapContext = createTapContext(options)
  const open = new Map<ServerResponse, (cause: string) => void>()
  const counts = { requests: 0, measured: 0 }
  const refused = { connections: 0, calls: 0, framing: 0 }
  let stopping = false
  let whenIdle = () => {}

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const sent = momentNow(clock)
    counts.requests += 1
    if (stopping) {
      refuse(response, 503, 'stopping', 'The collector is stopping.')
      return
    }
    // One connection can bring any number of calls, before the first is answered.
    if (open.size >= options.connectionsMax) {
      refused.calls += 1
      refuse(response, 503, 'too_many_calls', 'The collector has too many open calls.')
      return
    }
    // A request line may name another server; only the configured ones are served.
    if (!request.url?.startsWith('/')) {
      refuse(response, 400, 'bad_target', 'The request target must be a path.')
      return
    }
    if (!isPlainlyFramed(request.rawHeaders)) {
      refused.framing += 1
      refuse(response, 501, 'bad_framing', 'The only transfer coding that is known is chunked.')
      return
    }
    const route = routes.of(request.url)
    const dialect = dialectOf(request.method ?? '', route.path(request.url))
    const measured = dialect !== null
    const requestId = measured ? randomUUID() : ''
    const tap = measured ? openTap(request, route, dialect, requestId, sent) : null
    const rewrite = { host: route.url.host, requestId, tenantHeader, measured, isOurs }
    try {
      const headers = requestHeaders(request.rawHeaders, request.method ?? 'GET', rewrite)
      const passage = { request, response, route, headers, sent, tap }
      open.set(response, forward(context, passage))
    } catch {
      tap?.end('failed', clock.monotonicUs() - sent.monotonicUs, 'not_forwardable')
      refuse(response, 502, 'not_forwardable', 'The request cannot be passed on.')
      return
    }
    response.on('close', () => closed(response))
    if (response.socket === null) whenGone(request, response)
  }

  function closed(response: ServerResponse): void {
    open.delete(response)
    if (open.size === 0) whenIdle()
  }

  /** An answer that waits behind others on its connection does not hear that this has closed. */
  function whenGone({ socket }: IncomingMessage, response: ServerResponse): void {
    socket.setMaxListeners(0)
    const gone = () =>
      setImmediate(() => {
        open.get(response)?.('')
        closed(response)
      })
    socket.once('close', gone)
    response.once('close', () => socket.off('close', gone))
  }

  function openTap(
    request: IncomingMessage,
    { endpoint, provider }: Route,
    dialect: Dialect,
    request_id: string,
    sent: Moment,
  ): Tap {
    counts.measured += 1
    const tenant = String(request.headers[tenantHeader] ?? '').slice(0, TENANT_LENGTH_MAX)
    const own = { request_id, endpoint, provider, tenant, model: '', attributes: {} }
    const labels = { ...options.labels, ...own }
    const attempt = attemptOf(request.headers)
    const tap = createTap(tapContext, { dialect, labels, startedAtUs: sent.wallUs, attempt })
    if (guardHeaders) tap.told(request.headers)
    watchRequest(request, dialect, tap.asked, tapContext.count)
    return tap
  }

  async function stop(graceMs: number): Promise<void> {
    stopping = true
    await new Promise<void>((resolve) => {
      const cancel = timers.after(graceMs, resolve)
      whenIdle = () => {
        cancel()
        resolve()
      }
      if (open.size === 0) whenIdle()
    })
    for (const breakOff of open.values()) breakOff('shutdown')
    routes.close()
  }

  const { faults } = tapContext
  return {
    handle,
    dropped: () => void refused.connections++,
    stop,
    stats: () => ({ ...counts, open: open.size, faults: { ...faults }, refused: { ...refused } }),
  }
}

function createTapContext({
  labels,
  runs,
  publish,
  tokenCounts = null,
}: ProxyOptions): TapContext & {
  readonly faults: Readonly<Record<string, number>>
} {
  const faults: Record<string, number> = {}
  const count = (reason: string) => {
    faults[reason] = (faults[reason] ?? 0) + 1
  }
  return { model: labels.model, runs, publish, tokenCounts, count, faults }
}
