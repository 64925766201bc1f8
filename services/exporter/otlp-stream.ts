import type { Aggregate, Distribution } from '../../schemas/records.ts'
import { seriesOf } from '../core/windows/series.ts'

/** What points say: all since the stream began, or their own window. */
export type Temporality = 'cumulative' | 'delta'

/** The one-minute windows of one partition, one behind the other, each counted once. */
export interface OtlpStream {
  /**
   * What is to be said of a window, as an aggregate from the beginning that the point has to its
   * end. Null when it has been said, or must not be: then why.
   */
  add(window: Aggregate): Aggregate | NotSaid
  /** Whether it has counted no window yet. */
  isEmpty(): boolean
  /** Which stream it is: when another one begins, what this one has counted is let go of. */
  number(): number
}

/** `folded`: it is in what is said of the series next. */
export type NotSaid = 'repeats' | 'folded' | 'late'

/**
 * A stream begins anew every six hours of event time, so that whoever takes a partition over need
 * not read more of the topic than that to know what has been counted.
 */
const STREAM_MS = 6 * 3_600_000
const WINDOW_MS = 60_000

/** The number of the stream that a time is in. */
export function streamAt(ms: number): number {
  return Math.floor(ms / STREAM_MS)
}

interface Series {
  /** Of the first window. */
  readonly startMs: number
  endMs: number
  /** One bit for each window of the stream. */
  readonly seen: Uint8Array
  readonly total: Total
}

interface Total {
  requests: number
  errors: number
  cancelled: number
  chunks: number
  input_tokens: number
  output_tokens: number
  metrics: Record<string, Distribution>
}

/**
 * Nothing has been counted. With `saysFolded` late data is said at once, with the end that was said
 * before: not of a point that has gone out.
 */
export function createOtlpStream(temporality: Temporality, saysFolded = false): OtlpStream {
  let number = Number.NEGATIVE_INFINITY
  let all = new Map<string, Series>()

  function seriesNamed(window: Aggregate): Series {
    const { key } = seriesOf(window.series)
    const known = all.get(key)
    if (known) return known
    const total = { ...NOTHING, metrics: {} }
    const bits = new Uint8Array(STREAM_MS / WINDOW_MS / 8)
    const made = { startMs: window.start, endMs: window.start, seen: bits, total }
    all.set(key, made)
    return made
  }

  return {
    isEmpty: () => all.size === 0,
    add(window) {
      const own = streamAt(window.start)
      if (own < number) return 'late'
      if (own > number) {
        number = own
        all = new Map()
      }
      const series = seriesNamed(window)
      const place = (window.start - own * STREAM_MS) / WINDOW_MS
      const bit = 1 << (place & 7)
      if (series.seen[place >> 3]! & bit) return 'repeats'
      series.seen[place >> 3]! |= bit
      if (temporality === 'delta') return window
      addWindow(series.total, window)
      if (window.end <= series.endMs && !saysFolded) return 'folded'
      series.endMs = Math.max(series.endMs, window.end)
      // What is said must not change when the next window is counted.
      const { startMs, endMs, total } = series
      return { ...window, ...total, metrics: { ...total.metrics }, start: startMs, end: endMs }
    },
    number: () => number,
  }
}

const NOTHING = {
  requests: 0,
  errors: 0,
  cancelled: 0,
  chunks: 0,
  input_tokens: 0,
  output_tokens: 0,
}

function addWindow(total: Total, window: Aggregate): void {
  for (const name of Object.keys(NOTHING) as (keyof typeof NOTHING)[]) total[name] += window[name]
  for (const [name, distribution] of Object.entries(window.metrics)) {
    if (distribution.count === 0) continue
    const before = total.metrics[name]
    total.metrics[name] = before ? sumOf(before, distribution) : distribution
  }
}

/** Both together, in what OTLP says of a distribution; percentiles and the like are not. */
function sumOf(a: Distribution, b: Distribution): Distribution {
  return {
    ...a,
    count: a.count + b.count,
    sum: a.sum + b.sum,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    histogram: {
      scale: a.histogram.scale,
      zero_count: a.histogram.zero_count + b.histogram.zero_count,
      ...sumOfCounts(a.histogram, b.histogram),
    },
  }
}

type Counts = Pick<Distribution['histogram'], 'offset' | 'counts'>

function sumOfCounts(a: Counts, b: Counts): Counts {
  if (a.counts.length === 0) return { offset: b.offset, counts: b.counts }
  if (b.counts.length === 0) return { offset: a.offset, counts: a.counts }
  const offset = Math.min(a.offset, b.offset)
  const end = Math.max(a.offset + a.counts.length, b.offset + b.counts.length)
  const counts = new Array<number>(end - offset).fill(0)
  for (const one of [a, b]) {
    for (let i = 0; i < one.counts.length; i++) counts[one.offset - offset + i]! += one.counts[i]!
  }
  return { offset, counts }
}
