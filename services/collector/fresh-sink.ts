import type { NewRecord, Sink } from '../bus/port.ts'
import { LensError } from '../core/errors.ts'
import type { Timers } from './clock.ts'

/** A sink that is thrown away after every surfaced error, and made anew at the next append. */
export interface FreshSink {
  /**
   * As Sink.append, but settles within `deadlineMs`: with send_outcome_unknown when the answer did
   * not come, with broker_unavailable when there was no sink to send with.
   */
  append(
    topic: string,
    partition: number,
    records: readonly NewRecord[],
    deadlineMs: number,
  ): Promise<void>
  close(): Promise<void>
}

/** One opened sink and those who are sending with it. */
interface Held {
  readonly sink: Promise<Sink>
  senders: number
  retired: boolean
}

/** One sink at a time, opened when it is first needed; appends may overlap. */
export function createFreshSink(open: () => Promise<Sink>, timers: Timers): FreshSink {
  let current: Held | null = null
  let closed = false

  function take(): Held {
    if (closed) throw new LensError('broker_unavailable', 'the sink is closed')
    current ??= { sink: open(), senders: 0, retired: false }
    current.senders += 1
    return current
  }

  function retire(held: Held): void {
    held.retired = true
    if (current === held) current = null
    closeIfUnused(held)
  }

  function closeIfUnused({ sink, senders, retired }: Held): void {
    // In the background: who throws a sink away has no time to wait for it.
    if (retired && senders === 0) sink.then((old) => old.close()).catch(() => {})
  }

  return {
    async append(topic, partition, records, deadlineMs) {
      const held = take()
      const attempt = createAttempt()
      const sent = held.sink.catch(rejectUnsent).then(async (sink) => {
        attempt.begin()
        await sink.append(topic, partition, records, attempt.signal)
      })
      try {
        await within(deadlineMs, sent, timers, attempt.giveUp)
      } catch (error) {
        retire(held)
        throw error
      } finally {
        held.senders -= 1
        closeIfUnused(held)
      }
    },
    async close() {
      closed = true
      const last = current
      current = null
      const sink = await last?.sink.catch(() => null)
      await sink?.close()
    },
  }
}

/** Knows whether a send had begun when it was given up, and keeps it from beginning later. */
function createAttempt(): { readonly signal: AbortSignal; begin(): void; giveUp(): LensError } {
  const givenUp = new AbortController()
  let begun = false
  return {
    signal: givenUp.signal,
    begin() {
      if (givenUp.signal.aborted)
        throw new LensError('broker_unavailable', 'the sink came after the deadline')
      begun = true
    },
    giveUp() {
      givenUp.abort()
      return begun
        ? new LensError('send_outcome_unknown', 'no answer to a send within its deadline')
        : new LensError('broker_unavailable', 'no sink within the deadline', { retryable: true })
    },
  }
}

function rejectUnsent(cause: unknown): never {
  if (cause instanceof LensError && cause.code !== 'send_outcome_unknown') throw cause
  throw new LensError('broker_unavailable', 'cannot open a sink', { retryable: true, cause })
}

/** Rejects with `failure()` when the promise has not settled in time. */
function within(
  deadlineMs: number,
  promise: Promise<void>,
  timers: Timers,
  failure: () => LensError,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = timers.after(deadlineMs, () => reject(failure()))
    promise.then(resolve, reject).finally(cancel)
  })
}
