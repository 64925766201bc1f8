// Generated from schemas/avro by `npm run generate`; do not edit.

export interface Histogram {
  readonly scale: number
  readonly zero_count: number
  readonly offset: number
  readonly counts: readonly number[]
}

export interface Distribution {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
  readonly mean: number
  /** Population standard deviation. */
  readonly stddev: number
  readonly p50: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
  /** Base-2 exponential histogram as OTLP defines it: bucket i of counts holds (base^(offset+i), base^(offset+i+1)], base = 2^(2^-scale). */
  readonly histogram: Histogram
}

export interface Gauge {
  readonly count: number
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly last: number
}

/** One series over one window. Final results go to lens.aggregates, results of windows still open to lens.aggregates-live; key = canonical series. Of the final records with the same series, size_s and start, the one with the highest revision stands. */
export interface Aggregate {
  /** Dimension values of the grouping that this series belongs to; the empty map is the whole fleet. */
  readonly series: Readonly<Record<string, string>>
  /** 60, 300 or 900. */
  readonly size_s: number
  /** Inclusive, aligned to the hop since the epoch. */
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** False: the window is still open and this is what has been counted so far. True: the watermark has passed. */
  readonly final: boolean
  /** 0 for the first final result; each correction by late data within the allowed lateness adds 1. */
  readonly revision: number
  /** True: closed after the maximum hold without some source partition. Published again, with the next revision, when that partition has passed the window's end. */
  readonly incomplete: boolean
  /** Requests that ended in the window. */
  readonly requests: number
  /** Of these, the ones with status error or truncated. */
  readonly errors: number
  readonly cancelled: number
  readonly errors_by_type: Readonly<Record<string, number>>
  readonly chunks: number
  readonly input_tokens: number
  readonly output_tokens: number
  /** By metric name: ttft_us, itl_us, chunk_gap_us, tpot_us, e2e_us, ... */
  readonly metrics: Readonly<Record<string, Distribution>>
  /** Resource telemetry joined to the series: gpu_utilization, kv_cache_usage, requests_waiting, ... */
  readonly gauges: Readonly<Record<string, Gauge>>
  /** Share of the requests that met every objective of their SLO; failures count against it. */
  readonly goodput: null | number
}

/** A record that could not be processed, byte for byte, with the reason. Topic lens.dead-letters, key topic-partition-offset. */
export interface DeadLetter {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The service that gave up on it. */
  readonly stage: string
  /** Closed list: bad_magic, unknown_schema, truncated, too_large, invalid_value, ... */
  readonly reason: string
  /** For a person; no content of the record. */
  readonly detail: string
  readonly key: null | Uint8Array
  readonly value: null | Uint8Array
  readonly seen_at: number
}

/** One gauge reading of an inference engine or its host. Topic lens.resource-samples, key endpoint. */
export interface ResourceSample {
  readonly at: number
  readonly endpoint: string
  readonly model: string
  readonly region: string
  /** gpu_utilization (0 to 1), gpu_memory_used_bytes, kv_cache_usage (0 to 1), requests_running, requests_waiting, ... */
  readonly name: string
  readonly value: number
  readonly attributes: Readonly<Record<string, string>>
}

export type TokenSource = 'chunk' | 'usage' | 'tokenizer'

export type Status = 'ok' | 'error' | 'cancelled' | 'truncated'

/** Time spent by a guard around the inference. */
export interface SecurityPhases {
  readonly validation_us: number
  readonly threat_detection_us: number
  readonly output_filter_us: number
}

/** Speculative decoding between an edge draft model and a cloud verifier. */
export interface Speculation {
  readonly draft_tokens: number
  readonly accepted_tokens: number
  readonly draft_us: number
  readonly round_trip_us: number
  readonly verify_us: number
}

export interface RequestEnd {
  readonly status: Status
  /** Low-cardinality class of the failure, for example http_429, timeout, overloaded_error. */
  readonly error_type: string
  readonly finish_reason: string
  /** Send to the close of the stream. Event time of the request's end = started_at + duration_us. */
  readonly duration_us: number
  /** Gap of chunk 0, repeated here so that the last record alone gives every measure of the request; null when there was no output. */
  readonly ttft_us: null | number
  /** Output tokens of chunk 0. */
  readonly first_chunk_tokens: number
  /** Output chunks of the whole request. */
  readonly chunks: number
  /** When a load generator meant to send the request. */
  readonly intended_at: null | number
  readonly input_tokens: null | number
  readonly output_tokens: null | number
  readonly cached_tokens: null | number
  readonly reasoning_tokens: null | number
  readonly attempts: number
  readonly cost_usd: null | number
  readonly security: null | SecurityPhases
  readonly speculative: null | Speculation
  /** Flags that a rule or a reader may exclude: buffered, no_usage, truncated, retried, clock_step. */
  readonly quality: readonly string[]
}

/** A run of consecutive output chunks of one streamed LLM request. Self-contained: a consumer needs no earlier record of the request to count it. A record may hold one chunk or many. Topic lens.token-events, key request_id. */
export interface TokenEvents {
  /** Unique for each request; also the Kafka key, so a request's records stay in order. */
  readonly request_id: string
  /** The producing instance. */
  readonly source: string
  /** Serving system or vendor: vllm, tgi, ollama, openai, anthropic, ... */
  readonly provider: string
  readonly model: string
  /** The deployment or instance that served the request. */
  readonly endpoint: string
  readonly region: string
  readonly tenant: string
  /** Free labels; they reach the lake and may be named as dimensions of a series. */
  readonly attributes: Readonly<Record<string, string>>
  /** Wall clock at which the request was sent. Event time of a chunk = started_at + elapsed_us + the gaps up to it. */
  readonly started_at: number
  /** Index, in the request, of the first chunk of this record. */
  readonly first_chunk: number
  /** Monotonic time from the send to the chunk before gaps_us[0]; 0 in the record that starts with chunk 0. */
  readonly elapsed_us: number
  /** Monotonic time before each chunk, in microseconds. The gap of chunk 0 is the time to first token. Only chunks that carry output (text, reasoning, tool call) count. */
  readonly gaps_us: readonly number[]
  /** Output tokens in each chunk, as long as gaps_us, or empty when unknown (then one chunk is taken as one token and token_source says chunk). */
  readonly tokens: readonly number[]
  readonly token_source: TokenSource
  /** Present in the last record of a request, and only there. */
  readonly end: null | RequestEnd
}

export type TriggerState = 'firing' | 'resolved'

/** A rule started or stopped holding for a series. Topic lens.trigger-events, key trigger_id. */
export interface TriggerEvent {
  /** Deterministic: the same rule, series and episode give the same id, so that a consumer can drop a repeat. */
  readonly trigger_id: string
  readonly rule: string
  readonly state: TriggerState
  readonly severity: string
  readonly series: Readonly<Record<string, string>>
  readonly size_s: number
  /** End of the window whose final aggregate decided it: the event's time. */
  readonly window_end: number
  /** Window end at which the condition first held in this episode. */
  readonly since: number
  /** The rule's condition in words, for a person. */
  readonly condition: string
  /** The values that the condition read, by metric and statistic, for example e2e_us.p95. */
  readonly observed: Readonly<Record<string, number>>
  readonly thresholds: Readonly<Record<string, number>>
}

export type RuleState = 'inactive' | 'pending' | 'firing' | 'recovering'

/** Internal. Where one rule stands for one series. Topic lens.trigger-state, key = rule and series, compacted. */
export interface RuleEpisode {
  readonly rule: string
  /** Canonical series key. */
  readonly series: string
  readonly state: RuleState
  /** End of the first window seen, in milliseconds; a rate below a threshold is unknown until a whole window lies after it. */
  readonly first_end: number
  /** End of the last window that was applied; an earlier or equal one is a repeat. */
  readonly evaluated_through: number
  /** Window end at which the condition first held in this episode; 0 when it does not hold. */
  readonly since: number
  /** For how long it has held since then, or while recovering for how long it has not; windows without an answer left out. */
  readonly held_ms: number
  /** Of the rule, as it was evaluated; empty when not known. */
  readonly revision: string
  /** Of the rule, as it fired. */
  readonly severity: string
  /** Of the windows on which it is evaluated. */
  readonly size_s: number
  /** End of the last window that the series had; behind it, it was silent. */
  readonly heard_through: number
  /** Window end of the last firing, from which the cooldown runs; 0 for never. */
  readonly fired_at: number
}

export interface SliceMetric {
  /** Row of the table of measures, which is only ever appended to. */
  readonly id: number
  readonly count: number
  readonly zero_count: number
  /** The exact sum is high * 2^52 + low; likewise the sum of squares. */
  readonly sum_high: number
  readonly sum_low: number
  readonly squares_high: number
  readonly squares_low: number
  readonly min: number
  readonly max: number
  readonly offset: number
  readonly counts: readonly number[]
}

export interface SliceGauge {
  readonly name: string
  readonly count: number
  /** Sum in units of 2^-20, high * 2^52 + low. */
  readonly sum_high: number
  readonly sum_low: number
  readonly min: number
  readonly max: number
  readonly last: number
  /** Microseconds since the epoch. */
  readonly last_at: number
}

export interface Slice {
  /** Milliseconds since the epoch, a multiple of the slice size. */
  readonly start: number
  readonly requests: number
  readonly errors: number
  readonly cancelled: number
  readonly errors_by_type: Readonly<Record<string, number>>
  readonly chunks: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly metrics: readonly SliceMetric[]
  readonly gauges: readonly SliceGauge[]
}

export interface Closing {
  /** Records of this range in this partition. */
  readonly series_count: number
  /** Source records in the range. */
  readonly records: number
  /** Of these, the ones that could not be counted. */
  readonly dead_letters: number
  /** Event time in milliseconds before which the source partition promises no more; the clock's when it is idle; -1 when unknown. */
  readonly watermark: number
  /** The same by its events alone: idleness may close a window, but only events make data too late. */
  readonly event_watermark: number
  /** Broker time of append up to which the source partition has been read; -1 when unknown. */
  readonly complete_ms: number
  /** How many partitions the source topic has. */
  readonly source_partitions: number
  /** True: statistics wrote this report in place of a partition that had held windows for too long. What its watermark closes is incomplete. */
  readonly on_behalf: boolean
}

/** Internal. What windowing counted in one range of one source partition: records per series, then one closing record in every partition of lens.window-slices. The merger applies a range only when its closing record has arrived (design §4). */
export interface WindowSlice {
  readonly source_topic: string
  readonly source_partition: number
  /** First offset of the range. */
  readonly from: number
  /** Offset after the last of the range; equal to from in a report of an idle partition's watermark. */
  readonly to: number
  /** Null in the closing record. */
  readonly series: null | Readonly<Record<string, string>>
  readonly slices: readonly Slice[]
  readonly closing: null | Closing
}
