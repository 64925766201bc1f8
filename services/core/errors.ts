/** Every way in which the world (not our code) can fail us. A bug is an assertion instead. */
export type ErrorCode =
  | 'configuration_invalid'
  | 'rules_invalid'
  | 'broker_unavailable'
  | 'registry_unavailable'
  | 'topic_missing'
  | 'partition_lost'
  | 'send_outcome_unknown'
  | 'store_unavailable'
  | 'lake_conflict'
  | 'otlp_unavailable'
  | 'part_missing'

/** An operating error: the message says what could not be done, the value, and what is allowed. */
export class LensError extends Error {
  readonly code: ErrorCode
  /** Whether the same call may succeed later without a change by a person. */
  readonly retryable: boolean

  constructor(
    code: ErrorCode,
    message: string,
    more: { retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'LensError'
    this.code = code
    this.retryable = more.retryable ?? false
  }
}

/** Throws when our own invariant does not hold; `message` names it. Crash, do not handle. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`)
}
