import type {
  Aggregate,
  Distribution,
  RequestEnd,
  TokenEvents,
  TriggerEvent,
} from '../../../schemas/records.ts'
import { requestEnd as anyEnd, tokenEvents as anyEvents } from '../../records.ts'

/** 2025-11-24T10:30:00Z in milliseconds. */
export const T0_MS = Date.UTC(2025, 10, 24, 10, 30)

/** The end of a request of three chunks that went well. */
export function requestEnd(over: Partial<RequestEnd> = {}): RequestEnd {
  const times = { duration_us: 260_000, ttft_us: 100_000 }
  return anyEnd({ ...times, chunks: 3, input_tokens: 12, output_tokens: 5, ...over })
}

/** A record of three chunks that ends its request. */
export function tokenEvents(over: Partial<TokenEvents> = {}): TokenEvents {
  const gaps_us = [100_000, 50_000, 70_003]
  return anyEvents({ started_at: T0_MS * 1000, gaps_us, end: requestEnd(), ...over })
}

/** A distribution of these microseconds; bucket indexes by logarithm, not by our own code. */
export function distributionOf(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b)
  const sum = values.reduce((total, value) => total + value, 0)
  const mean = sum / values.length
  const variance = values.reduce((total, v) => total + (v - mean) ** 2, 0) / values.length
  const rank = (q: number): number => sorted[Math.ceil(q * sorted.length) - 1]!
  const indexes = sorted.filter((v) => v > 0).map((v) => Math.ceil(Math.log2(v) * 64) - 1)
  const offset = indexes[0] ?? 0
  const counts = new Array<number>(indexes.length === 0 ? 0 : indexes.at(-1)! - offset + 1).fill(0)
  for (const index of indexes) counts[index - offset]! += 1
  return {
    count: values.length,
    sum,
    min: sorted[0]!,
    max: sorted.at(-1)!,
    mean,
    stddev: Math.sqrt(variance),
    p50: rank(0.5),
    p90: rank(0.9),
    p95: rank(0.95),
    p99: rank(0.99),
    p999: rank(0.999),
    histogram: { scale: 6, zero_count: sorted.length - indexes.length, offset, counts },
  }
}

/** The final minute of a series with three requests. */
export function aggregate(over: Partial<Aggregate> = {}): Aggregate {
  return {
    series: { model: 'llama', endpoint: 'ep-1', region: 'eu', tenant: 'acme' },
    size_s: 60,
    start: T0_MS,
    end: T0_MS + 60_000,
    final: true,
    revision: 0,
    incomplete: false,
    requests: 3,
    errors: 1,
    cancelled: 0,
    errors_by_type: { http_429: 1 },
    chunks: 90,
    input_tokens: 40,
    output_tokens: 91,
    metrics: {
      ttft_us: distributionOf([100_000, 120_000, 90_000]),
      e2e_us: distributionOf([0, 7]),
    },
    gauges: {},
    goodput: null,
    ...over,
  }
}

/** A rule that began to hold. */
export function triggerEvent(over: Partial<TriggerEvent> = {}): TriggerEvent {
  return {
    trigger_id: 'slow-1',
    rule: 'slow',
    state: 'firing',
    severity: 'warning',
    series: { model: 'llama' },
    size_s: 60,
    window_end: T0_MS + 60_000,
    since: T0_MS,
    condition: 'p95 of e2e_us above 2 s',
    observed: { 'e2e_us.p95': 2_100_000.5 },
    thresholds: { 'e2e_us.p95': 2_000_000 },
    ...over,
  }
}
