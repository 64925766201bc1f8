/**
 * Recomputes every window from the raw records, slowly and plainly: arrays of values, sorted. It
 * shares no code with the pipeline but the record types.
 */
import type { Aggregate, ResourceSample, TokenEvents, TriggerEvent } from '../../schemas/records.ts'

interface Observation {
  readonly atUs: number
  readonly series: readonly string[]
  readonly counts: Readonly<Record<string, number>>
  readonly values: readonly { metric: string; value: number; times: number }[]
  readonly errorType?: string
}

export interface ExactWindow {
  readonly counts: Record<string, number>
  readonly errorsByType: Record<string, number>
  readonly values: Record<string, number[]>
}

const GROUPINGS = [
  ['endpoint', 'model', 'region', 'tenant'],
  ['model'],
  ['endpoint'],
  ['tenant'],
  [],
]
const COUNTS = ['requests', 'errors', 'cancelled', 'chunks', 'input_tokens', 'output_tokens']
export const SIZES_S = [60, 300, 900]

/** Every window that holds an observation, by `series size start`. */
export function recompute(records: readonly TokenEvents[]): Map<string, ExactWindow> {
  const windows = new Map<string, ExactWindow>()
  for (const record of records) {
    for (const observation of observe(record)) {
      for (const key of keysOf(observation)) add(windows, key, observation)
    }
  }
  return windows
}

function observe(record: TokenEvents): Observation[] {
  const series = GROUPINGS.map((names) =>
    JSON.stringify(Object.fromEntries(names.map((name) => [name, record[name as 'model']]))),
  )
  const all: Observation[] = []
  let elapsed = record.elapsed_us
  record.gaps_us.forEach((gap, i) => {
    elapsed += gap
    const tokens = record.tokens.length === 0 ? 1 : record.tokens[i]!
    const values =
      record.first_chunk + i === 0
        ? [{ metric: 'ttft_us', value: gap, times: 1 }]
        : [
            { metric: 'chunk_gap_us', value: gap, times: 1 },
            { metric: 'itl_us', value: tokens ? Math.round(gap / tokens) : 0, times: tokens },
          ]
    all.push({ atUs: record.started_at + elapsed, series, counts: {}, values })
  })
  if (record.end) all.push(observeEnd(record, elapsed, series))
  return all
}

function observeEnd(record: TokenEvents, lastUs: number, series: readonly string[]): Observation {
  const end = record.end!
  const failed = end.status === 'error' || end.status === 'truncated'
  const values: { metric: string; value: number; times: number }[] = []
  if (end.status === 'ok' && end.chunks > 0) {
    values.push({ metric: 'e2e_us', value: lastUs, times: 1 })
    if (end.chunks > 1 && end.output_tokens !== null && end.ttft_us !== null) {
      const tokens = end.output_tokens - end.first_chunk_tokens
      const value = Math.round((lastUs - end.ttft_us) / tokens)
      if (tokens > 0) values.push({ metric: 'tpot_us', value, times: 1 })
    }
  }
  if (end.intended_at !== null) {
    const value = Math.max(0, record.started_at - end.intended_at)
    values.push({ metric: 'queue_us', value, times: 1 })
  }
  return {
    atUs: record.started_at + end.duration_us,
    series,
    values,
    counts: {
      requests: 1,
      errors: failed ? 1 : 0,
      cancelled: end.status === 'cancelled' ? 1 : 0,
      chunks: end.chunks,
      input_tokens: end.input_tokens ?? 0,
      output_tokens: end.output_tokens ?? 0,
    },
    ...(failed ? { errorType: end.error_type || end.status } : {}),
  }
}

function* keysOf({ atUs, series }: Observation): Iterable<string> {
  const minute = Math.floor(atUs / 60e6)
  for (const size of SIZES_S) {
    for (let i = 0; i < size / 60; i++) {
      const start = (minute - i) * 60_000
      for (const key of series) yield `${key} ${size} ${start}`
    }
  }
}

function add(windows: Map<string, ExactWindow>, key: string, observation: Observation): void {
  let window = windows.get(key)
  if (!window) {
    window = { counts: Object.fromEntries(COUNTS.map((n) => [n, 0])), errorsByType: {}, values: {} }
    windows.set(key, window)
  }
  for (const [name, n] of Object.entries(observation.counts)) window.counts[name]! += n
  for (const { metric, value, times } of observation.values) {
    window.values[metric] ??= []
    for (let i = 0; i < times; i++) window.values[metric].push(value)
  }
  const { errorType } = observation
  if (errorType) window.errorsByType[errorType] = (window.errorsByType[errorType] ?? 0) + 1
}

/** `series size start` of a published aggregate. */
export function windowKey({ series, size_s, start }: Aggregate): string {
  const sorted = Object.fromEntries(Object.entries(series).sort(([a], [b]) => (a < b ? -1 : 1)))
  return `${JSON.stringify(sorted)} ${size_s} ${start}`
}

/** Of each window the final result with the highest revision; a repeat must be identical. */
export function latest(aggregates: readonly Aggregate[]): Map<string, Aggregate> {
  const standing = new Map<string, Aggregate>()
  const texts = new Map<string, string>()
  for (const aggregate of aggregates) {
    const key = windowKey(aggregate)
    const exact = `${key} ${aggregate.revision}`
    const text = JSON.stringify(aggregate)
    if ((texts.get(exact) ?? text) !== text) throw new Error(`two results of ${exact}`)
    texts.set(exact, text)
    if (aggregate.revision >= (standing.get(key)?.revision ?? 0)) standing.set(key, aggregate)
  }
  return standing
}

/** Relative error that a percentile may have: half a bucket of scale 6, and a little rounding. */
const BOUND = 2 ** (1 / 128) - 1 + 1e-9

/** What differs between what was published and what should have been, in words. */
export function differences(
  published: Map<string, Aggregate>,
  exact: Map<string, ExactWindow>,
): string[] {
  const faults: string[] = []
  for (const [key, window] of exact) {
    const aggregate = published.get(key)
    if (!aggregate) faults.push(`${key}: missing`)
    else faults.push(...compare(aggregate, window).map((fault) => `${key}: ${fault}`))
  }
  for (const [key, aggregate] of published) {
    const empty = aggregate.requests === 0 && Object.keys(aggregate.metrics).length === 0
    if (!exact.has(key) && !empty) faults.push(`${key}: should be empty`)
  }
  return faults
}

function compare(aggregate: Aggregate, window: ExactWindow): string[] {
  const faults: string[] = []
  const check = (name: string, got: unknown, want: unknown) => {
    if (got !== want) faults.push(`${name} is ${got}, not ${want}`)
  }
  for (const [name, want] of Object.entries(window.counts)) {
    check(name, aggregate[name as 'requests'], want)
  }
  for (const [type, want] of Object.entries(window.errorsByType)) {
    check(type, aggregate.errors_by_type[type], want)
  }
  const metrics = Object.entries(window.values).filter(([, values]) => values.length > 0)
  const names = metrics.map(([name]) => name).sort()
  check('metrics', Object.keys(aggregate.metrics).sort().join(), names.join())
  for (const [name, values] of metrics) {
    const distribution = aggregate.metrics[name]
    if (!distribution) continue
    const sorted = Float64Array.from(values).sort()
    check(`${name}.count`, distribution.count, sorted.length)
    check(
      `${name}.sum`,
      distribution.sum,
      sorted.reduce((sum, value) => sum + value, 0),
    )
    check(`${name}.min`, distribution.min, sorted[0])
    check(`${name}.max`, distribution.max, sorted.at(-1))
    for (const [stat, q] of [
      ['p50', 0.5],
      ['p95', 0.95],
      ['p99', 0.99],
      ['p999', 0.999],
    ] as const) {
      const want = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
      const off = Math.abs(distribution[stat] - want) / Math.max(want, 1)
      if (off > BOUND) faults.push(`${name}.${stat} is ${distribution[stat]}, exact ${want}`)
    }
  }
  return faults
}

/** Mean of the readings of a gauge of an endpoint in [from, to). */
export function meanReading(samples: readonly ResourceSample[], fromMs: number, toMs: number) {
  const within = samples.filter(({ at }) => at >= fromMs * 1000 && at < toMs * 1000)
  return within.reduce((sum, { value }) => sum + value, 0) / within.length
}

/** Every event has one form, and an episode is resolved only after it fired. */
export function triggerFaults(events: readonly TriggerEvent[]): readonly string[] {
  const forms = new Map<string, string>()
  const found: string[] = []
  for (const event of events) {
    const key = `${event.trigger_id} ${event.state}`
    const form = JSON.stringify(event)
    if ((forms.get(key) ?? form) !== form) found.push(`two forms of ${key} (${event.rule})`)
    forms.set(key, form)
  }
  for (const key of forms.keys()) {
    const [id, state] = key.split(' ')
    if (state === 'resolved' && !forms.has(`${id} firing`)) found.push(`${id} only resolved`)
  }
  return found
}
