import { LensError } from '../core/errors.ts'
import type { Clock } from './clock.ts'

/** What a retry needs to know of its surroundings. */
export interface RetrySurroundings {
  readonly clock: Clock
  readonly log: (line: string) => void
  readonly isStopped: () => boolean
  /** Keeps the group membership while the world recovers. */
  readonly heartbeat?: (() => Promise<void>) | undefined
}

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 5_000

/**
 * Does the work until it succeeds: trouble with a broker, registry or store pauses a partition and
 * never loses a record. Ends early when an error is not retryable or the surroundings are stopped.
 */
export async function retrying<T>(work: () => Promise<T>, around: RetrySurroundings): Promise<T> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    try {
      return await work()
    } catch (error) {
      const again = error instanceof LensError ? error.retryable : isKafkaRetriable(error)
      if (!again || around.isStopped()) throw error
      around.log(`waiting ${waitMs} ms: ${(error as Error).message}`)
      await around.clock.sleep(waitMs)
      await beat(around)
    }
  }
}

/** What a broker answers to a member whose partitions somebody else has by now, or soon. */
const LOST_MEMBERSHIP = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
])

/** Whether an error, or what a client has wrapped in it, says that the membership is lost. */
export function saysMembershipLost(error: unknown): boolean {
  const { type, cause } = error as { type?: string; cause?: unknown }
  return LOST_MEMBERSHIP.has(type ?? '') || (cause !== undefined && saysMembershipLost(cause))
}

/** A heartbeat that only could not be sent changes nothing: the member may still be one. */
async function beat({ heartbeat }: RetrySurroundings): Promise<void> {
  try {
    await heartbeat?.()
  } catch (cause) {
    if (!saysMembershipLost(cause)) return
    const message = `the group has given this member up: ${(cause as Error).message}`
    throw new LensError('partition_lost', message, { cause })
  }
}

function isKafkaRetriable(error: unknown): boolean {
  return (error as { retriable?: boolean }).retriable === true
}
