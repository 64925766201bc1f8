/**
 * Recomputes every window from the raw records, plainly: every value of every minute, sorted. It
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

export interface ExactDistribution {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
}

export interface ExactWindow {
  readonly counts: Readonly<Record<string, number>>
  readonly errorsByType: Readonly<Record<string, number>>
  readonly metrics: Readonly<Record<string, ExactDistribution>>
}

/** All of a series in one minute: every window is a union of such. */
interface Minute {
  readonly counts: Record<string, number>
  readonly errorsByType: Record<string, number>
  readonly values: Record<string, Values>
}

/** Every value, 4 bytes each: ten million chunks are half a gigabyte. */
interface Values {
  all: Uint32Array
  count: number
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

const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99, p999: 0.999 } as const

export interface Oracle {
  add(record: TokenEvents): void
  /** Every window that holds an observation, by `series size start`; the last call. */
  windows(): Map<string, ExactWindow>
}

/** Takes raw records one by one, so that none of them has to be kept. */
export function createOracle(): Oracle {
  const bySeries = new Map<string, Map<number, Minute>>()
  return {
    add(record) {
      for (const observation of observe(record)) {
        const minute = Math.floor(observation.atUs / 60e6)
        for (const key of observation.series) {
          const minutes = bySeries.get(key) ?? new Map<number, Minute>()
          const cell = minutes.get(minute) ?? { counts: {}, errorsByType: {}, values: {} }
          bySeries.set(key, minutes.set(minute, cell))
          add(cell, observation)
        }
      }
    },
    windows() {
      const windows = new Map<string, ExactWindow>()
      for (const [key, minutes] of bySeries) {
        for (const { values } of minutes.values()) Object.values(values).forEach(close)
        for (const size of SIZES_S) {
          for (const start of startsOf(minutes, size / 60)) {
            const held = Array.from({ length: size / 60 }, (_, i) => minutes.get(start + i))
            const some = held.filter((minute) => minute !== undefined)
            windows.set(`${key} ${size} ${start * 60_000}`, union(some))
          }
        }
      }
      return windows
    },
  }
}

/** All records at once. */
export function recompute(records: readonly TokenEvents[]): Map<string, ExactWindow> {
  const oracle = createOracle()
  for (const record of records) oracle.add(record)
  return oracle.windows()
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

function add(cell: Minute, { counts, values, errorType }: Observation): void {
  for (const [name, n] of Object.entries(counts)) cell.counts[name] = (cell.counts[name] ?? 0) + n
  for (const { metric, value, times } of values) {
    if (times > 0) cell.values[metric] ??= { all: new Uint32Array(8), count: 0 }
    for (let i = 0; i < times; i++) push(cell.values[metric]!, value)
  }
  if (errorType) cell.errorsByType[errorType] = (cell.errorsByType[errorType] ?? 0) + 1
}

function push(values: Values, value: number): void {
  if (!(value >= 0 && value < 2 ** 32)) throw new RangeError(`${value} is no value for 4 bytes`)
  if (values.count === values.all.length) {
    const wider = new Uint32Array(2 * values.count)
    wider.set(values.all)
    values.all = wider
  }
  values.all[values.count++] = value
}

function close(values: Values): void {
  values.all = values.all.slice(0, values.count).sort()
}

/** The minutes at which windows begin that hold any of these. */
function startsOf(minutes: ReadonlyMap<number, Minute>, length: number): Set<number> {
  const starts = new Set<number>()
  for (const minute of minutes.keys()) {
    for (let i = 0; i < length; i++) starts.add(minute - i)
  }
  return starts
}

function union(minutes: readonly Minute[]): ExactWindow {
  const sum = (name: 'counts' | 'errorsByType', keys: readonly string[]) =>
    Object.fromEntries(
      keys.map((key) => [key, minutes.reduce((n, minute) => n + (minute[name][key] ?? 0), 0)]),
    )
  const types = minutes.flatMap(({ errorsByType }) => Object.keys(errorsByType))
  const metrics = new Set(minutes.flatMap(({ values }) => Object.keys(values)))
  const distributions = [...metrics].map((metric) => {
    const parts = minutes.flatMap(({ values }) => values[metric]?.all ?? [])
    return [metric, distributionOf(parts)] as const
  })
  return {
    counts: sum('counts', COUNTS),
    errorsByType: sum('errorsByType', types),
    metrics: Object.fromEntries(distributions),
  }
}

/** Of arrays that are sorted, none empty. */
function distributionOf(parts: readonly Uint32Array[]): ExactDistribution {
  const total = (number: (part: Uint32Array) => number) =>
    parts.reduce((sum, part) => sum + number(part), 0)
  const count = total(({ length }) => length)
  const min = Math.min(...parts.map((part) => part[0]!))
  const max = Math.max(...parts.map((part) => part.at(-1)!))
  const quantile = (q: number) =>
    first(min, max, (value) => {
      return total((part) => first(0, part.length, (i) => part[i]! > value)) >= Math.ceil(q * count)
    })
  return {
    ...{ count, min, max, sum: total((part) => part.reduce((sum, value) => sum + value, 0)) },
    p50: quantile(QUANTILES.p50),
    p95: quantile(QUANTILES.p95),
    p99: quantile(QUANTILES.p99),
    p999: quantile(QUANTILES.p999),
  }
}

/** The first integer in [from, to) for which it holds, as it does for all above it; else `to`. */
function first(from: number, to: number, holds: (n: number) => boolean): number {
  let [low, high] = [from, to]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
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
  const names = Object.keys(window.metrics).sort()
  check('metrics', Object.keys(aggregate.metrics).sort().join(), names.join())
  for (const [name, exact] of Object.entries(window.metrics)) {
    const distribution = aggregate.metrics[name]
    if (!distribution) continue
    for (const part of ['count', 'sum', 'min', 'max'] as const) {
      check(`${name}.${part}`, distribution[part], exact[part])
    }
    for (const stat of Object.keys(QUANTILES) as (keyof typeof QUANTILES)[]) {
      const off = Math.abs(distribution[stat] - exact[stat]) / Math.max(exact[stat], 1)
      if (off > BOUND) faults.push(`${name}.${stat} is ${distribution[stat]}, exact ${exact[stat]}`)
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
