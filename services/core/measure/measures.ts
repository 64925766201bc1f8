/** One row of the table of measures: what is measured, from where to where, in which unit. */
export interface Measure {
  /** Position in the table, used on the wire: rows are appended, never moved or removed. */
  readonly id: number
  readonly name: string
  readonly unit: 'us' | '1'
  /** Values are counted in units of 2^-unitShift. */
  readonly unitShift: number
  readonly formula: string
  /** The event at whose time the observation is completed, which decides its window. */
  readonly completedAt: 'first chunk' | 'chunk' | 'end'
  /** Which requests it is taken from. */
  readonly takenFrom: 'any' | 'ok'
  readonly otel: string
  /** The same quantity under other tools' names; empty where nobody else has it. */
  readonly others: string
}

/** Version of the definitions below; it changes when the meaning of a row does. */
export const MEASURES_VERSION = 1

function measure(
  id: number,
  name: string,
  formula: string,
  completedAt: Measure['completedAt'],
  takenFrom: Measure['takenFrom'],
  otel: string,
  others = '',
): Measure {
  return { id, name, unit: 'us', unitShift: 0, formula, completedAt, takenFrom, otel, others }
}

export const TTFT = measure(
  0,
  'ttft_us',
  'first output chunk - send',
  'first chunk',
  'any',
  'gen_ai.client.operation.time_to_first_chunk',
  'vLLM time_to_first_token, AIPerf TTFT, GuideLLM time_to_first_token',
)
export const CHUNK_GAP = measure(
  1,
  'chunk_gap_us',
  'chunk - chunk before it',
  'chunk',
  'any',
  'gen_ai.client.operation.time_per_output_chunk',
  'AIPerf inter-chunk latency; vLLM bench calls it ITL',
)
export const ITL = measure(
  2,
  'itl_us',
  'chunk gap / tokens of the chunk, once per token, without the first chunk',
  'chunk',
  'any',
  'latency_lens.inter_token_latency',
  'vLLM inter_token_latency, SGLang inter_token_latency',
)
export const TPOT = measure(
  3,
  'tpot_us',
  '(last chunk - first chunk) / (output tokens - tokens of the first chunk)',
  'end',
  'ok',
  'latency_lens.time_per_output_token',
  'vLLM request_time_per_output_token, AIPerf and GuideLLM inter-token latency',
)
export const E2E = measure(
  4,
  'e2e_us',
  'last output chunk - send',
  'end',
  'ok',
  'gen_ai.client.operation.duration',
  'AIPerf request latency; vLLM e2e_request_latency ends at the close',
)
export const QUEUE = measure(
  5,
  'queue_us',
  'send - intended send, 0 when sent early',
  'end',
  'any',
  'latency_lens.queue.duration',
)
export const GUARD = measure(
  6,
  'guard_us',
  'validation + threat detection + output filter',
  'end',
  'any',
  'latency_lens.guard.duration',
)
export const GUARD_SHARE: Measure = {
  ...measure(7, 'guard_share', 'guard_us / duration_us', 'end', 'any', 'latency_lens.guard.share'),
  unit: '1',
  unitShift: 20,
}

/** Every measure, by id (design §3). */
export const MEASURES: readonly Measure[] = [
  TTFT,
  CHUNK_GAP,
  ITL,
  TPOT,
  E2E,
  QUEUE,
  GUARD,
  GUARD_SHARE,
]
