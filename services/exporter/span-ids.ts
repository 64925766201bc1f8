import { createHash } from 'node:crypto'
import type { SpanIds } from '../formats/protobuf-spans.ts'

/** The ids of a request's span: of its id alone, so that a repeat is the same span. */
export function spanIdsOf(requestId: string): SpanIds {
  const digest = createHash('sha256').update(requestId).digest()
  return { traceId: digest.subarray(0, 16), spanId: digest.subarray(16, 24) }
}
