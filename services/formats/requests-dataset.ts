import type { RequestEnd, TokenEvents } from '../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { type Column, type Dataset, optional, required, SOURCE_COLUMNS } from './column.ts'
import { REQUEST_COLUMNS } from './request-columns.ts'

/** The last record of a request. */
export type EndedRequest = TokenEvents & { readonly end: RequestEnd }

/** Microseconds from the send to the last output chunk; null unless it ended ok with output. */
function e2eUs({ elapsed_us, gaps_us, end }: EndedRequest): number | null {
  if (end.status !== 'ok' || end.chunks === 0) return null
  let lastUs = elapsed_us
  for (const gap of gaps_us) lastUs += gap
  return lastUs
}

/** As windowing counts it (design §3), so that the lake and the aggregates agree. */
function tpotUs(request: EndedRequest): number | null {
  const { ttft_us, output_tokens, first_chunk_tokens, chunks } = request.end
  const lastUs = e2eUs(request)
  if (lastUs === null || chunks < 2 || ttft_us === null || output_tokens === null) return null
  const tokens = output_tokens - first_chunk_tokens
  return tokens > 0 ? Math.round((lastUs - ttft_us) / tokens) : null
}

/** A request sent before it was meant to be did not wait. */
function queueUs({ started_at, end }: EndedRequest): number | null {
  return end.intended_at === null ? null : Math.max(0, started_at - end.intended_at)
}

/** What is measured of a request as a whole, by the names of measures; null when it has none. */
export const REQUEST_MEASURES = {
  ttft_us: (request: EndedRequest) => request.end.ttft_us,
  e2e_us: e2eUs,
  tpot_us: tpotUs,
  queue_us: queueUs,
} as const

// An empty error_type or finish_reason means that there is none. An empty dimension stays a text:
// it is the value that the aggregates of the same requests have.
function orNull(text: string): string | null {
  return text === '' ? null : text
}

const SECURITY: readonly Column<EndedRequest>[] = (
  ['validation_us', 'threat_detection_us', 'output_filter_us'] as const
).map((name) =>
  optional(`security_${name}`, 'int64', ({ end }: EndedRequest) => end.security?.[name] ?? null),
)

const SPECULATIVE: readonly Column<EndedRequest>[] = (
  [
    ['draft_tokens', 'int32'],
    ['accepted_tokens', 'int32'],
    ['draft_us', 'int64'],
    ['round_trip_us', 'int64'],
    ['verify_us', 'int64'],
  ] as const
).map(([name, type]) =>
  optional(`speculative_${name}`, type, ({ end }: EndedRequest) => end.speculative?.[name] ?? null),
)

const COLUMNS: readonly Column<EndedRequest>[] = [
  ...REQUEST_COLUMNS,
  required('ended_at', 'timestamp_us', (r) => r.started_at + r.end.duration_us),
  required('status', 'label', (r) => r.end.status),
  optional('error_type', 'label', (r) => orNull(r.end.error_type)),
  optional('finish_reason', 'label', (r) => orNull(r.end.finish_reason)),
  optional('ttft_us', 'int64', (r) => r.end.ttft_us),
  optional('e2e_us', 'int64', e2eUs),
  optional('tpot_us', 'int64', tpotUs),
  required('duration_us', 'int64', (r) => r.end.duration_us),
  optional('queue_us', 'int64', queueUs),
  required('chunks', 'int32', (r) => r.end.chunks),
  required('first_chunk_tokens', 'int32', (r) => r.end.first_chunk_tokens),
  required('token_source', 'label', (r) => r.token_source),
  optional('input_tokens', 'int32', (r) => r.end.input_tokens),
  optional('output_tokens', 'int32', (r) => r.end.output_tokens),
  optional('cached_tokens', 'int32', (r) => r.end.cached_tokens),
  optional('reasoning_tokens', 'int32', (r) => r.end.reasoning_tokens),
  required('attempts', 'int32', (r) => r.end.attempts),
  optional('cost_usd', 'float64', (r) => r.end.cost_usd),
  required('quality', 'string_list', (r) => r.end.quality),
  ...SECURITY,
  ...SPECULATIVE,
  ...SOURCE_COLUMNS,
]

/** One row per ended request, out of the last record of each. */
export const REQUESTS: Dataset = {
  name: 'requests',
  version: 1,
  topic: TOKEN_EVENTS,
  columns: COLUMNS,
  keeps: (record: TokenEvents) => record.end !== null,
  eventUs: (record: EndedRequest) => record.started_at + record.end.duration_us,
  timeColumn: 'ended_at',
  sortColumns: ['tenant', 'model'],
}
