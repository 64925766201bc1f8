import type { NewRecord } from '../bus/port.ts'
import { LensError } from '../core/errors.ts'
import type { Clock, Timers } from './clock.ts'
import type { FreshSink } from './fresh-sink.ts'

/** Records of one topic-partition, sent together. */
export interface Delivery {
  readonly topic: string
  readonly partition: number
  readonly records: readonly NewRecord[]
}

export interface DeliveryContext {
  readonly sink: FreshSink
  readonly clock: Clock
  readonly timers: Timers
  readonly deadlineMs: number
  readonly log: (message: string) => void
}

/** `unknown`: they may or may not be in the log. Else: the reason why they are not. */
export type Outcome = 'sent' | 'unknown' | 'broker_unavailable' | 'refused'

const PAUSE_FIRST_MS = 50
const PAUSE_MAX_MS = 2_000

/**
 * Sends until it is certain, or until the deadline. Only what certainly is not in the log is sent
 * again: a record too few is counted and visible, a record too many would be believed.
 */
export async function deliver(context: DeliveryContext, delivery: Delivery): Promise<Outcome> {
  const { sink, clock, timers, deadlineMs, log } = context
  const { topic, partition, records } = delivery
  const startedUs = clock.monotonicUs()
  let pauseMs = PAUSE_FIRST_MS
  for (;;) {
    const leftMs = deadlineMs - (clock.monotonicUs() - startedUs) / 1000
    try {
      await sink.append(topic, partition, records, Math.max(leftMs, 0))
      return 'sent'
    } catch (error) {
      const outcome = outcomeOf(error)
      const again = outcome === 'broker_unavailable' && leftMs > pauseMs
      const next = again ? `trying again in ${pauseMs} ms` : `giving up: ${outcome}`
      log(`cannot send ${records.length} records to ${topic}-${partition}: ${said(error)}; ${next}`)
      if (!again) return outcome
    }
    await new Promise<void>((resolve) => timers.after(pauseMs, resolve))
    pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)
  }
}

/** An error that is not ours says nothing about what the broker did. */
function outcomeOf(error: unknown): Exclude<Outcome, 'sent'> {
  if (!(error instanceof LensError) || error.code === 'send_outcome_unknown') return 'unknown'
  return error.retryable ? 'broker_unavailable' : 'refused'
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
