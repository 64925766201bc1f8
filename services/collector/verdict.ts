import type { Status } from '../../schemas/records.ts'
import { httpErrorType } from './error-type.ts'

/** How the connection ended, as the proxy saw it. */
export type Close =
  /** The whole answer came. */
  | 'complete'
  /** The answer broke off. */
  | 'cut'
  /** There was no answer. */
  | 'failed'
  /** The client went away, or we sent it away. */
  | 'cancelled'

/** All that decides about a request. */
export interface Evidence {
  readonly close: Close
  /** What the proxy knows of the cause: timeout, connection_refused, shutdown; mostly empty. */
  readonly cause: string
  /** Null without an answer. */
  readonly httpStatus: number | null
  readonly isStream: boolean
  /** What was asked for as a stream is neither one nor JSON: mostly a page of a gateway. */
  readonly isPage: boolean
  /** The stream's end marker came. */
  readonly done: boolean
  /** Class of an error inside the answer; empty for none. */
  readonly errorType: string
}

export interface Verdict {
  readonly status: Status
  readonly errorType: string
}

/** Decides how a request ended. A failure of the server beats what the client did afterwards. */
export function verdictOf(evidence: Evidence): Verdict {
  const { close, cause, httpStatus, isStream, isPage, done, errorType } = evidence
  if (errorType !== '') return { status: 'error', errorType }
  if (close === 'failed') return { status: 'error', errorType: cause }
  if (httpStatus !== null && (httpStatus < 200 || httpStatus > 299)) {
    return { status: 'error', errorType: httpErrorType(httpStatus) }
  }
  if (isPage) return { status: 'error', errorType: 'not_a_stream' }
  // Many clients hang up at [DONE], and some servers keep the connection open after it.
  if (done) return { status: 'ok', errorType: '' }
  if (close === 'cancelled') return { status: 'cancelled', errorType: cause }
  if (close === 'cut' || isStream) return { status: 'truncated', errorType: cause }
  return { status: 'ok', errorType: '' }
}
