import type { RequestEnd } from '../../../schemas/records.ts'
import type { Labels } from './labels.ts'

/** What is measured of a request's end. */
export type RunEnd = Pick<
  RequestEnd,
  | 'status'
  | 'error_type'
  | 'duration_us'
  | 'ttft_us'
  | 'first_chunk_tokens'
  | 'chunks'
  | 'intended_at'
  | 'input_tokens'
  | 'output_tokens'
  | 'security'
>

/**
 * A decoded TokenEvents record, as the hot path sees it: all decoders of a process fill the same
 * arrays, so a reader must be done with it before the next record is decoded. No object, string or
 * promise per token.
 */
export interface TokenRun {
  labels: Labels
  /** Microseconds since the epoch at which the request was sent. */
  startedAtUs: number
  /** Index, in the request, of the first chunk. */
  firstChunk: number
  /** From the send to the chunk before the first gap. */
  elapsedUs: number
  /** From the send to the last chunk: elapsedUs plus all gaps. */
  lastUs: number
  chunks: number
  /** The first `chunks` entries are the gaps before each chunk, in microseconds. */
  gapsUs: Int32Array
  /** Whether `tokens` holds a count per chunk; else each chunk is taken as one token. */
  hasTokens: boolean
  tokens: Int32Array
  /** Null but in the last record of a request. */
  end: RunEnd | null
}
