import type { RequestEnd, TokenEvents } from '../../schemas/records.ts'

type Attribute = string | number | boolean | readonly string[]

/** A request as a span of OpenTelemetry's GenAI conventions; times in µs since 1970. */
export interface RequestSpan {
  readonly requestId: string
  readonly name: string
  readonly startUs: number
  readonly endUs: number
  readonly attributes: Readonly<Record<string, Attribute>>
  readonly events: readonly { readonly name: string; readonly atUs: number }[]
  /** What failed; null when nothing did. */
  readonly error: string | null
}

/** What a span of a request is worth sending for. */
export interface SpanRules {
  /** Of all requests, by their ids: in [0, 1]. */
  readonly share: number
  /** Those whose first chunk, or last, came later; failed ones always. */
  readonly slowTtftUs: number
  readonly slowE2eUs: number
}

/** Whether a request has failed; one that its caller has broken off has not. */
export function hasFailed({ status }: Pick<RequestEnd, 'status'>): boolean {
  return status === 'error' || status === 'truncated'
}

/** The span of a request that has ended. */
export function spanOf({ end, ...request }: TokenEvents & { end: RequestEnd }): RequestSpan {
  const { request_id, started_at, model, provider, endpoint, region, tenant } = request
  const { status, error_type, ttft_us, duration_us } = end
  const failed = hasFailed(end)
  const attributes = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': model,
    'gen_ai.request.stream': true,
    'gen_ai.response.finish_reasons': end.finish_reason === '' ? [] : [end.finish_reason],
    'gen_ai.response.time_to_first_chunk': ttft_us === null ? null : ttft_us / 1e6,
    'gen_ai.usage.input_tokens': end.input_tokens,
    'gen_ai.usage.output_tokens': end.output_tokens,
    'gen_ai.usage.cache_read.input_tokens': end.cached_tokens,
    'error.type': failed ? error_type || status : null,
    'latency_lens.request_id': request_id,
    'latency_lens.endpoint': endpoint,
    'latency_lens.region': region,
    'latency_lens.tenant': tenant,
    'latency_lens.status': status,
    'latency_lens.chunks': end.chunks,
    'latency_lens.quality': end.quality,
  }
  const isSaid = ([, value]: readonly [string, unknown]) => {
    return value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)
  }
  return {
    requestId: request_id,
    name: `chat ${model}`,
    startUs: started_at,
    endUs: started_at + duration_us,
    attributes: Object.fromEntries(Object.entries(attributes).filter(isSaid)) as Record<
      string,
      Attribute
    >,
    events: ttft_us === null ? [] : [{ name: 'first_chunk', atUs: started_at + ttft_us }],
    error: failed ? error_type || status : null,
  }
}
