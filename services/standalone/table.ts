import type { Aggregate, Distribution, TriggerEvent } from '../../schemas/records.ts'

/** Everything that one picture of the table is made of. */
export interface TableView {
  readonly headline: string
  readonly nowMs: number
  /** When the run began: an open window is counted from then at the earliest. */
  readonly sinceMs: number
  readonly aggregates: readonly Aggregate[]
  readonly events: readonly TriggerEvent[]
  readonly rowsMax: number
}

const STATS = ['p50', 'p95', 'p99'] as const
const SERIES_WIDTH = 44

/** Results reach the table about this long after the events. */
const DELAY_MS = 3_000

/** The table as lines: series by requests, then the last trigger events. No colours, no clock. */
export function renderTable(view: TableView): string[] {
  const { headline, nowMs, sinceMs, aggregates, events, rowsMax } = view
  const lines = [headline, '', HEADER]
  if (aggregates.length === 0) lines.push('  waiting for the first results ...')
  const rows = rowsToShow(aggregates)
  for (const aggregate of rows.slice(0, rowsMax)) lines.push(row(aggregate, nowMs, sinceMs))
  if (rows.length > rowsMax) lines.push(`  ... and ${rows.length - rowsMax} more series`)
  lines.push('', 'last trigger events')
  if (events.length === 0) lines.push('  none yet: rules are evaluated when a minute is final')
  for (const event of events.slice(-6)) lines.push(`  ${describeEvent(event)}`)
  return lines
}

const HEADER = [
  'series (ms: p50 / p95 / p99)'.padEnd(SERIES_WIDTH),
  'req/s'.padStart(6),
  'tok/s'.padStart(7),
  'errors'.padStart(7),
  'TTFT'.padStart(20),
  'ITL'.padStart(20),
  'e2e'.padStart(20),
].join(' ')

/** The fleet first, then the series with the most dimensions, busiest first. */
function rowsToShow(aggregates: readonly Aggregate[]): Aggregate[] {
  const dimensions = (aggregate: Aggregate) => Object.keys(aggregate.series).length
  const most = Math.max(0, ...aggregates.map(dimensions))
  const fleet = aggregates.filter((aggregate) => dimensions(aggregate) === 0)
  const finest = aggregates.filter((aggregate) => most > 0 && dimensions(aggregate) === most)
  return [
    ...fleet,
    ...finest.sort((a, b) => b.requests - a.requests || (name(a) < name(b) ? -1 : 1)),
  ]
}

function name({ series }: Aggregate): string {
  const { model, tenant, endpoint, region, ...others } = series
  const parts = [model, tenant, endpoint, region, ...Object.values(others)]
  const text = parts.filter((part) => part !== undefined && part !== '').join(' ')
  return text === '' ? 'all requests' : text
}

/** One series; an open window's rate is over the part of it that has passed. */
function row(aggregate: Aggregate, nowMs: number, sinceMs: number): string {
  const passedS = (nowMs - DELAY_MS - Math.max(aggregate.start, sinceMs)) / 1000
  const seconds = aggregate.final
    ? aggregate.size_s
    : Math.min(Math.max(passedS, 1), aggregate.size_s)
  const label = name(aggregate)
  const { metrics } = aggregate
  return [
    (label.length > SERIES_WIDTH ? `${label.slice(0, SERIES_WIDTH - 1)}…` : label).padEnd(
      SERIES_WIDTH,
    ),
    (aggregate.requests / seconds).toFixed(1).padStart(6),
    (aggregate.output_tokens / seconds).toFixed(0).padStart(7),
    String(aggregate.errors).padStart(7),
    percentiles(metrics.ttft_us),
    percentiles(metrics.itl_us),
    percentiles(metrics.e2e_us),
  ].join(' ')
}

function percentiles(distribution: Distribution | undefined): string {
  if (!distribution) return '-'.padStart(20)
  return STATS.map((stat) => milliseconds(distribution[stat]))
    .join(' / ')
    .padStart(20)
}

function milliseconds(us: number): string {
  const ms = us / 1000
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0)
}

/** One event: when, what, which series, and the values that decided it. */
export function describeEvent(event: TriggerEvent): string {
  const time = new Date(event.window_end).toISOString().slice(11, 19)
  const series = Object.entries(event.series).map(([dimension, value]) => `${dimension}=${value}`)
  const values = Object.entries(event.observed).map(
    ([reading, value]) =>
      `${reading} ${inWords(reading, value)} (limit ${inWords(reading, event.thresholds[reading])})`,
  )
  return `${time} ${event.state.padEnd(8)} ${event.rule} ${series.join(' ') || 'fleet'}: ${values.join(', ')}`
}

/** A time in milliseconds, a rate per second, anything else as it is. */
function inWords(reading: string, value: number | undefined): string {
  if (value === undefined) return '?'
  if (/_us\./.test(reading)) return `${milliseconds(value)} ms`
  const text = String(Number(value.toPrecision(4)))
  return reading.endsWith('.rate') ? `${text}/s` : text
}
