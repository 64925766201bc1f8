import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { LensError } from '../core/errors.ts'
import { type Answer, partialSuccess, postOtlp, said, wishedMs } from './otlp-http.ts'
import type { OtlpSettings } from './otlp-settings.ts'

/** Sends OTLP requests to one endpoint. */
export interface OtlpSender {
  /**
   * Resolves when the endpoint has taken the request, or refused it for good, which is counted: a
   * request that is wrong once is wrong for ever, and must not stop the ones after it. Rejects
   * with LensError otlp_unavailable: retryable when the endpoint cannot be reached or is busy, not
   * when it refuses whoever we are or whatever we send, unless it has taken something before: then
   * it is in trouble. It repeats for a few seconds only, since the caller has a group membership
   * to keep up between its own repeats.
   */
  send(body: Uint8Array, points: number): Promise<void>
  readonly stats: Readonly<OtlpSenderStats>
}

export interface OtlpSenderStats {
  /** Calls of send, repeats by the caller included. */
  requests: number
  retries: number
  pointsAccepted: number
  /** Refused with the whole request, or named in a partial success. */
  pointsRejected: number
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

// OTLP/HTTP: these four may be repeated, and no other. Of the rest, some are about one request.
const RETRYABLE = new Set([429, 502, 503, 504])
const REQUEST_IS_WRONG = new Set([400, 413, 422, 500, 501])

const HOOKS: OtlpSenderHooks = { sleep: (ms) => delay(ms), random: Math.random, nowMs: Date.now }
const gzipped = promisify(gzip)

/** A sender for the endpoint of `settings`. It holds no connection that must be closed. */
export function createOtlpSender(
  settings: OtlpSettings,
  hooks: OtlpSenderHooks = HOOKS,
): OtlpSender {
  const stats: OtlpSenderStats = {
    requests: 0,
    retries: 0,
    pointsAccepted: 0,
    pointsRejected: 0,
    requestsRejected: 0,
    lastRejection: null,
  }
  const noReach = `cannot reach ${settings.url}: `
  let notBeforeMs = Number.NEGATIVE_INFINITY

  async function attempts(payload: Uint8Array): Promise<Answer> {
    const restMs = notBeforeMs - hooks.nowMs()
    if (restMs > 0) throw busy(`${noReach}it asks to wait ${Math.ceil(restMs / 1000)} s more`)
    for (let attempt = 1; ; attempt++) {
      let retryAfter: string | null = null
      let fault: unknown
      try {
        const answer = await postOtlp(settings, payload)
        if (!RETRYABLE.has(answer.status)) return answer
        retryAfter = answer.retryAfter
        fault = new Error(said(answer))
      } catch (error) {
        fault = error
      }
      const wishMs = wishedMs(retryAfter, hooks.nowMs())
      const waitMs = wishMs ?? BACKOFF_MS * 2 ** (attempt - 1) * (0.5 + hooks.random() / 2)
      if (waitMs > WAIT_MAX_MS) notBeforeMs = hooks.nowMs() + waitMs
      if (attempt === ATTEMPTS || waitMs > WAIT_MAX_MS) throw busy(noReach + reasonOf(fault), fault)
      stats.retries += 1
      await hooks.sleep(waitMs)
    }
  }

  return {
    stats,
    async send(body, points) {
      stats.requests += 1
      const answer = await attempts(settings.isGzip ? await gzipped(body) : body)
      const isAccepted = answer.status >= 200 && answer.status < 300
      if (!isAccepted && !REQUEST_IS_WRONG.has(answer.status)) {
        const text = `${settings.url} refuses us: ${said(answer)}; see endpoint and headers`
        throw new LensError('otlp_unavailable', text, { retryable: stats.pointsAccepted > 0 })
      }
      const { rejected, message } = isAccepted
        ? partialSuccess(answer.body)
        : { rejected: points, message: said(answer) }
      stats.requestsRejected += isAccepted ? 0 : 1
      stats.pointsRejected += Math.min(points, rejected)
      stats.pointsAccepted += points - Math.min(points, rejected)
      if (message !== '') stats.lastRejection = message
    },
  }
}

function busy(text: string, cause?: unknown): LensError {
  return new LensError('otlp_unavailable', text, { retryable: true, cause })
}

function reasonOf(fault: unknown): string {
  const { message, cause } = fault as Error
  return cause instanceof Error ? `${message} (${cause.message})` : message
}
