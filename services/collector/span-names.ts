/**
 * What the instrumentations of GenAI calls name things: OpenTelemetry's conventions first, then
 * what they were before, then vLLM, OpenLLMetry and OpenInference. The first one that a span has
 * counts.
 */

/** A span that has one of these is a call of a model: not of a tool, an agent or an embedding. */
export const CALLS: readonly (readonly [attribute: string, values: readonly string[]])[] = [
  ['gen_ai.operation.name', ['chat', 'text_completion', 'generate_content']],
  ['llm.request.type', ['chat', 'completion']],
  ['openinference.span.kind', ['LLM']],
]

/** vLLM's spans have no operation, and no other span has this. */
export const CALL_SIGN = 'gen_ai.latency.time_to_first_token'

export const MODEL = ['gen_ai.request.model', 'gen_ai.response.model', 'llm.model_name']
export const PROVIDER = ['gen_ai.provider.name', 'gen_ai.system', 'llm.provider', 'llm.system']
export const FINISH_REASONS = [
  'gen_ai.response.finish_reasons',
  'gen_ai.completion.0.finish_reason',
]

/** In seconds. */
export const TTFT_S = ['gen_ai.response.time_to_first_chunk', CALL_SIGN]

export const INPUT_TOKENS = [
  'gen_ai.usage.input_tokens',
  'gen_ai.usage.prompt_tokens',
  'llm.token_count.prompt',
]
export const OUTPUT_TOKENS = [
  'gen_ai.usage.output_tokens',
  'gen_ai.usage.completion_tokens',
  'llm.token_count.completion',
]
export const CACHED_TOKENS = [
  'gen_ai.usage.cache_read.input_tokens',
  'gen_ai.usage.cache_read_input_tokens',
  'llm.token_count.prompt_details.cache_read',
]
export const REASONING_TOKENS = [
  'gen_ai.usage.reasoning.output_tokens',
  'gen_ai.usage.reasoning_tokens',
  'llm.token_count.completion_details.reasoning',
]

/** An event at the time of each chunk (OpenLLMetry). */
export const CHUNK_EVENT = 'llm.content.completion.chunk'
/** At the time of the first one (OpenInference). */
export const FIRST_CHUNK_EVENT = 'First Token Stream Event'

/** Ours: nobody else names a tenant. */
export const TENANT = ['latency_lens.tenant']
