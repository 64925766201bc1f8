import fc from 'fast-check'
import type {
  Aggregate,
  RequestEnd,
  ResourceSample,
  TokenEvents,
  TriggerEvent,
} from '../../../schemas/records.ts'
import {
  aggregate,
  distributionOf,
  requestEnd,
  T0_MS,
  tokenEvents,
  triggerEvent,
} from './records.ts'

/** Any text that UTF-8 can carry. */
const text = fc.string({ unit: 'binary', maxLength: 12 })
const label = fc.oneof(fc.constantFrom('', 'a', 'llama', 'größe', '模型', '😀'), text)
const safe = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1), fc.maxSafeNat())
const int = fc.oneof(fc.constantFrom(0, 2 ** 31 - 1), fc.integer({ min: 0, max: 2 ** 31 - 1 }))
const double = fc.double({ noNaN: true, noDefaultInfinity: true })
const labels = fc.dictionary(
  fc.constantFrom('model', 'endpoint', 'region', 'team', '10', '9'),
  label,
)
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary)

const end: fc.Arbitrary<RequestEnd> = fc
  .record({
    status: fc.constantFrom('ok', 'error', 'cancelled', 'truncated'),
    error_type: label,
    finish_reason: label,
    // Any but the largest: the end of the request must itself be a time.
    duration_us: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 52 })),
    ttft_us: maybe(safe),
    first_chunk_tokens: int,
    chunks: int,
    intended_at: maybe(safe),
    input_tokens: maybe(int),
    output_tokens: maybe(int),
    cached_tokens: maybe(int),
    reasoning_tokens: maybe(int),
    attempts: int,
    cost_usd: maybe(double),
    security: maybe(
      fc.record({ validation_us: safe, threat_detection_us: safe, output_filter_us: safe }),
    ),
    speculative: maybe(
      fc.record({
        draft_tokens: int,
        accepted_tokens: int,
        draft_us: safe,
        round_trip_us: safe,
        verify_us: safe,
      }),
    ),
    quality: fc.array(label, { maxLength: 4 }),
  } satisfies Record<keyof RequestEnd, unknown>)
  .map(requestEnd)

const events = {
  request_id: text,
  source: label,
  provider: label,
  model: label,
  endpoint: label,
  region: label,
  tenant: label,
  attributes: labels,
  started_at: fc.integer({ min: 0, max: 2 ** 52 }),
  elapsed_us: fc.integer({ min: 0, max: 2 ** 40 }),
  gaps_us: fc.array(int, { maxLength: 5 }),
  token_source: fc.constantFrom('chunk', 'usage', 'tokenizer'),
} as const

/** Ended requests with every field anywhere within its limits. */
export const anyEndedRequest: fc.Arbitrary<TokenEvents> = fc
  .record({ ...events, end })
  .map(tokenEvents)

/** Records of chunks, the last of their requests or not. */
export const anyTokenEvents: fc.Arbitrary<TokenEvents> = fc
  .record({
    ...events,
    first_chunk: int,
    tokens: fc.array(int, { maxLength: 5 }),
    end: maybe(end),
  })
  .map(tokenEvents)

/** Readings of gauges, of which some are no number. */
export const anySample: fc.Arbitrary<ResourceSample> = fc.record({
  at: fc.integer({ min: 0, max: 2 ** 52 }),
  endpoint: label,
  model: label,
  region: label,
  name: label,
  value: fc.oneof(fc.constantFrom(Number.NaN, Infinity, -Infinity, -0, 5e-324), fc.double()),
  attributes: labels,
})

const observations = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 40 })), {
  minLength: 1,
  maxLength: 20,
})

/** Final aggregates with any measures and gauges. */
export const anyAggregate: fc.Arbitrary<Aggregate> = fc
  .record({
    series: labels,
    size_s: fc.constantFrom(60, 300, 900),
    start: fc.integer({ min: 0, max: 2 ** 42 }),
    revision: int,
    requests: safe,
    errors: safe,
    errors_by_type: fc.dictionary(label, safe),
    metrics: fc.dictionary(
      fc.constantFrom('ttft_us', 'itl_us', 'guard_share', 'unknown_us'),
      observations.map(distributionOf),
    ),
    gauges: fc.dictionary(
      label,
      fc.record({ count: safe, min: double, max: double, mean: double, last: double }),
    ),
    goodput: maybe(double),
  })
  .map(aggregate)

/** Trigger events of any rule. */
export const anyTriggerEvent: fc.Arbitrary<TriggerEvent> = fc
  .record({
    trigger_id: text,
    rule: label,
    series: labels,
    window_end: fc.integer({ min: 0, max: 2 * T0_MS }),
    observed: fc.dictionary(label, double),
  })
  .map(triggerEvent)

/** Records of each dataset. */
export const RECORDS: Readonly<Record<string, fc.Arbitrary<object>>> = {
  token_events: anyTokenEvents,
  requests: anyEndedRequest,
  resource_samples: anySample,
  aggregates: anyAggregate,
  trigger_events: anyTriggerEvent,
}
