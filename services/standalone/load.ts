import { Agent, type IncomingMessage, request } from 'node:http'
import { assert } from '../core/errors.ts'
import { createRandom } from '../core/random.ts'

export interface LoadOptions {
  /** Base address of an OpenAI-compatible server, http only. */
  readonly url: string
  readonly models: readonly { readonly name: string; readonly weight: number }[]
  readonly tenants: readonly string[]
  readonly ratePerSecond: number
  readonly seed: number
  /** Arrivals beyond this many requests in flight are skipped and counted, never queued. */
  readonly concurrencyMax: number
  readonly onResult?: (result: LoadResult) => void
}

/** One request as its sender saw it. */
export interface LoadResult {
  readonly requestId: string
  readonly model: string
  readonly tenant: string
  readonly outcome: 'ok' | 'error' | 'cancelled'
  /** http_429, in_band, truncated, or the code of a socket error; empty when there was none. */
  readonly errorType: string
  /** How long after its intended time the request was sent. */
  readonly queueUs: number
  readonly durationUs: number
}

export interface LoadSummary {
  readonly sent: number
  readonly ok: number
  readonly errors: number
  readonly errorsByType: Readonly<Record<string, number>>
  readonly cancelled: number
  readonly skipped: number
  readonly inFlight: number
}

/** All that is random about one arrival. */
interface Arrival {
  readonly gapMs: number
  readonly model: string
  readonly tenant: string
  readonly promptWords: number
  readonly tokensMax: number
  /** The client goes away after this many reads; 0 = it stays. */
  readonly readsMax: number
}

type OnEnd = (outcome: LoadResult['outcome'], errorType: string) => void

const ABORT_SHARE = 0.01
const STOP_WAIT_MS = 5000
const IDLE_MS_MAX = 60_000

/**
 * Sends streamed chat completions at Poisson times on an absolute schedule, whether or not the
 * answers keep up. `stop` ends the arrivals, waits 5 s for those in flight, then aborts them.
 */
export function startLoad(options: LoadOptions): {
  stop(): Promise<LoadSummary>
  summary(): LoadSummary
} {
  assert(options.ratePerSecond > 0, 'the rate of a load is positive')
  assert(options.models.length > 0 && options.tenants.length > 0, 'a load has models and tenants')
  const target = new URL('v1/chat/completions', `${options.url.replace(/\/$/, '')}/`)
  assert(target.protocol === 'http:', 'a load goes to an http address')
  const agent = new Agent({ keepAlive: true })
  const random = createRandom(options.seed)
  const runId = Date.now().toString(36)
  const counts = { sent: 0, ok: 0, errors: 0, cancelled: 0, skipped: 0 }
  const errorsByType: Record<string, number> = {}
  const aborts = new Set<() => void>()
  const idle = Promise.withResolvers<void>()
  let stopping = false

  const launch = (arrival: Arrival, intendedMs: number) => {
    const requestId = `load-${runId}-${++counts.sent}`
    const startMs = performance.now()
    const abort = sendChat(target, agent, requestId, arrival, (outcome, errorType) => {
      aborts.delete(abort)
      counts[outcome === 'error' ? 'errors' : outcome]++
      if (outcome === 'error') errorsByType[errorType] = (errorsByType[errorType] ?? 0) + 1
      const { model, tenant } = arrival
      const queueUs = Math.round((startMs - intendedMs) * 1000)
      const durationUs = Math.round((performance.now() - startMs) * 1000)
      options.onResult?.({ requestId, model, tenant, outcome, errorType, queueUs, durationUs })
      if (stopping && aborts.size === 0) idle.resolve()
    })
    aborts.add(abort)
  }

  let arrival = drawArrival(random, options)
  let dueMs = performance.now() + arrival.gapMs
  let timer = setTimeout(tick, arrival.gapMs)
  function tick() {
    while (dueMs <= performance.now()) {
      if (aborts.size >= options.concurrencyMax) counts.skipped++
      else launch(arrival, dueMs)
      arrival = drawArrival(random, options)
      dueMs += arrival.gapMs
    }
    timer = setTimeout(tick, Math.ceil(dueMs - performance.now()))
  }

  const summary = () => ({ ...counts, errorsByType: { ...errorsByType }, inFlight: aborts.size })
  const stop = async () => {
    stopping = true
    clearTimeout(timer)
    if (aborts.size === 0) idle.resolve()
    const deadline = setTimeout(() => {
      for (const abort of aborts) abort()
    }, STOP_WAIT_MS)
    await idle.promise
    clearTimeout(deadline)
    agent.destroy()
    return summary()
  }
  return { stop, summary }
}

/** Sends one request and reads its answer to the end; returns what aborts it. */
function sendChat(
  target: URL,
  agent: Agent,
  requestId: string,
  arrival: Arrival,
  onEnd: OnEnd,
): () => void {
  const body = JSON.stringify({
    model: arrival.model,
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: arrival.tokensMax,
    messages: [{ role: 'user', content: 'word '.repeat(arrival.promptWords) }],
  })
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-lens-request-id': requestId,
    'x-lens-tenant': arrival.tenant,
  }
  let ended = false
  const settle: OnEnd = (outcome, errorType) => {
    if (!ended) onEnd(outcome, errorType)
    ended = true
  }
  const call = request(target, { method: 'POST', agent, headers, timeout: IDLE_MS_MAX })
  const abort = () => {
    settle('cancelled', '')
    call.destroy()
  }
  call.on('response', (res) => readStream(res, arrival.readsMax, abort, settle))
  call.on('timeout', () => call.destroy(Object.assign(new Error('idle'), { code: 'timeout' })))
  call.on('error', (error: NodeJS.ErrnoException) => settle('error', error.code ?? 'unknown'))
  call.end(body)
  return abort
}

/** Keeps nothing of the answer but how it ended. */
function readStream(res: IncomingMessage, readsMax: number, abort: () => void, settle: OnEnd) {
  // A line feed cannot stand inside JSON text, so these marks are found only where they begin a
  // line; the tail carries one that is split between two reads.
  const marks = { error: '\ndata: {"error"', done: '\ndata: [DONE]' }
  let tail = '\n'
  let failed = false
  let done = false
  let reads = 0
  res.setEncoding('utf8')
  res.on('data', (text: string) => {
    const seen = tail + text
    failed ||= seen.includes(marks.error)
    done ||= seen.includes(marks.done)
    tail = seen.slice(-marks.error.length)
    if (++reads === readsMax && res.statusCode === 200) abort()
  })
  res.on('end', () => {
    if (res.statusCode !== 200) settle('error', `http_${res.statusCode}`)
    else if (failed) settle('error', 'in_band')
    else settle(done ? 'ok' : 'error', done ? '' : 'truncated')
  })
  res.on('error', () => settle('error', 'truncated'))
}

// Every arrival takes the same number of draws, sent or skipped, so that a seed means one load.
function drawArrival(random: () => number, options: LoadOptions): Arrival {
  const gapMs = (-Math.log(1 - random()) / options.ratePerSecond) * 1000
  const model = weighted(options.models, random())
  const tenant = options.tenants[Math.floor(random() * options.tenants.length)]!
  const promptWords = 4 + Math.floor(random() * 200)
  const tokensMax = 16 + Math.floor(random() * 500)
  const leaves = random() < ABORT_SHARE
  const reads = 1 + Math.floor(random() * 12)
  return { gapMs, model, tenant, promptWords, tokensMax, readsMax: leaves ? reads : 0 }
}

function weighted(models: LoadOptions['models'], draw: number): string {
  let left = draw * models.reduce((sum, { weight }) => sum + weight, 0)
  for (const { name, weight } of models) {
    left -= weight
    if (left < 0) return name
  }
  return models.at(-1)!.name
}
