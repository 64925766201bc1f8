import { setTimeout as delay } from 'node:timers/promises'
import { LensError } from '../core/errors.ts'
import type { OtlpAnswer, OtlpTransport } from './otlp-transport.ts'

/** Sends OTLP requests to one endpoint. */
export interface OtlpSender {
  /**
   * Resolves when the endpoint has taken the request, or refused it for good, which is counted: a
   * request that is wrong once is wrong for ever, and must not stop the ones after it. Rejects
   * with LensError otlp_unavailable: retryable when the endpoint cannot be reached or is busy, not
   * when it refuses whoever we are or whatever we send, unless it has taken something before: then
   * it is in trouble. It repeats for a few seconds only, since the caller has a group membership
   * to keep up between its own repeats. `items` are the points or spans in it.
   */
  send(body: Uint8Array, items: number): Promise<Rejected>
  readonly stats: Readonly<OtlpSenderStats>
}

/** What was not taken of one request, and why. */
export interface Rejected {
  readonly rejected: number
  readonly message: string
}

export interface OtlpSenderStats {
  /** Calls of send, repeats by the caller included. */
  requests: number
  retries: number
  accepted: number
  /** Refused with the whole request, or named in a partial success. */
  rejected: number
  requestsRejected: number
  /** What the endpoint last said about a rejection. */
  lastRejection: string | null
}

/** What the tests take in hand. */
export interface OtlpSenderHooks {
  readonly sleep: (ms: number) => Promise<unknown>
  /** In [0, 1). */
  readonly random: () => number
  readonly nowMs: () => number
}

const ATTEMPTS = 4
const BACKOFF_MS = 500
/** What is waited for within a send; a longer wish of the endpoint makes later sends reject. */
const WAIT_MAX_MS = 5000
/** Nobody may stop an export for longer with one word. */
const WISH_MAX_MS = 300_000

const HOOKS: OtlpSenderHooks = { sleep: (ms) => delay(ms), random: Math.random, nowMs: Date.now }

type Settled = Exclude<OtlpAnswer, { is: 'busy' }>

/** A sender over a transport. */
export function createOtlpSender(
  transport: OtlpTransport,
  hooks: OtlpSenderHooks = HOOKS,
): OtlpSender {
  const stats: OtlpSenderStats = {
    requests: 0,
    retries: 0,
    accepted: 0,
    rejected: 0,
    requestsRejected: 0,
    lastRejection: null,
  }
  const noReach = `cannot reach ${transport.url}: `
  let notBeforeMs = Number.NEGATIVE_INFINITY

  async function attempts(body: Uint8Array): Promise<Settled> {
    const restMs = notBeforeMs - hooks.nowMs()
    if (restMs > 0) throw busy(`${noReach}it asks to wait ${Math.ceil(restMs / 1000)} s more`)
    for (let attempt = 1; ; attempt++) {
      const answer = await transport.post(body)
      if (answer.is !== 'busy') return answer
      const backOffMs = BACKOFF_MS * 2 ** (attempt - 1) * (0.5 + hooks.random() / 2)
      const waitMs = Math.min(WISH_MAX_MS, answer.waitMs ?? backOffMs)
      if (waitMs > WAIT_MAX_MS) notBeforeMs = hooks.nowMs() + waitMs
      if (attempt === ATTEMPTS || waitMs > WAIT_MAX_MS) throw busy(noReach + answer.message)
      stats.retries += 1
      await hooks.sleep(waitMs)
    }
  }

  function count(items: number, said: number, message: string): Rejected {
    const rejected = Math.min(items, said)
    stats.rejected += rejected
    stats.accepted += items - rejected
    if (message !== '') stats.lastRejection = message
    return { rejected, message }
  }

  return {
    stats,
    async send(body, items) {
      stats.requests += 1
      const answer = await attempts(body)
      if (answer.is === 'taken') return count(items, answer.rejected, answer.message)
      if (answer.is === 'refused') {
        const text = `${transport.url} refuses us: ${answer.message}; see endpoint and headers`
        throw new LensError('otlp_unavailable', text, { retryable: stats.accepted > 0 })
      }
      stats.requestsRejected += 1
      return count(items, items, answer.message)
    },
  }
}

function busy(text: string): LensError {
  return new LensError('otlp_unavailable', text, { retryable: true })
}
