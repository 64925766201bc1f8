import type { WindowSlice } from '../../schemas/records.ts'
import { AGGREGATES } from '../../schemas/topics.ts'
import type { WindowPlan } from '../core/windows/hopping.ts'
import { firstEndAfter } from '../core/windows/hopping.ts'
import {
  createLateness,
  createWatermarks,
  reportLateness,
  reportOf,
  reportWatermark,
} from '../core/windows/watermark.ts'
import {
  addCounts,
  COUNTED,
  type Counts,
  countsOfSlice,
  noCounts,
  REQUESTS_AT,
} from './audit-counts.ts'
import type { Findings } from './audit-findings.ts'
import type { AppliedRange } from './audit-tiles.ts'

export interface LedgerPolicy extends WindowPlan {
  readonly latenessMs: number
  /** Topics that windowing reads. */
  readonly sourceTopics: readonly string[]
  /** Which series are summed together: those with the same answer. */
  groupOf(series: Readonly<Record<string, string>>): string
}

/** One window of a group of series, all of one partition of the slices. */
export interface LedgerWindow {
  readonly group: string
  readonly sizeMs: number
  readonly endMs: number
  /** Of all its slices. */
  readonly sum: Counts
  /** What its latest result must say; null while it is open. */
  published: Counts | null
}

/** What statistics must publish of one partition of the slices, by the ranges alone. */
export interface Ledger {
  apply(range: AppliedRange): void
  /** By windowName. */
  readonly windows: ReadonlyMap<string, LedgerWindow>
  /** Whether a correction of a window is still to come. */
  isPending(window: LedgerWindow): boolean
  /** Up to which event time windows have been closed. */
  through(): number
}

/** Results change at these steps of event time (docs/decisions/03-window-protocol.md). */
const STEP_MS = 10_000

function step(ms: number): number {
  return Math.floor(ms / STEP_MS) * STEP_MS
}

/**
 * An empty ledger: sums only, by the rules of services/statistics/windows.ts, to which it owes
 * nothing but the watermarks.
 */
export function createLedger(policy: LedgerPolicy): Ledger {
  const windows = new Map<string, LedgerWindow>()
  const open = new Set<LedgerWindow>()
  const dirty = new Set<LedgerWindow>()
  const watermarks = createWatermarks(policy.sourceTopics)
  const lateness = createLateness()
  let through = Number.NEGATIVE_INFINITY
  let passed = Number.NEGATIVE_INFINITY
  let late = Number.NEGATIVE_INFINITY

  function merge(record: WindowSlice): void {
    const group = policy.groupOf(record.series!)
    for (const slice of record.slices) {
      const counts = countsOfSlice(slice)
      const first = firstEndAfter(policy, slice.start)
      for (const sizeMs of policy.sizesMs) {
        for (let endMs = first; endMs < first + sizeMs; endMs += policy.hopMs) {
          const window = windowAt(group, sizeMs, endMs)
          addCounts(window.sum, counts)
          // Later than that, it is counted as too late: the result stays.
          if (endMs <= through && endMs + policy.latenessMs > late) dirty.add(window)
        }
      }
    }
  }

  function windowAt(group: string, sizeMs: number, endMs: number): LedgerWindow {
    const key = windowName(group, sizeMs, endMs)
    let window = windows.get(key)
    if (!window) {
      window = { group, sizeMs, endMs, sum: noCounts(), published: null }
      windows.set(key, window)
      if (endMs > through) open.add(window)
    }
    return window
  }

  function publish(from: Set<LedgerWindow>, to: number): void {
    for (const window of from) {
      if (window.endMs > to) continue
      window.published = [...window.sum]
      from.delete(window)
    }
  }

  function advance(): void {
    const to = step(watermarks.closed)
    if (to > through || step(watermarks.passed) > passed) {
      passed = step(watermarks.passed)
      publish(dirty, to > through ? to : passed)
    }
    if (to > through) {
      publish(open, to)
      through = to
    }
    if (step(lateness.late) > late) {
      late = step(lateness.late)
      publish(dirty, late - policy.latenessMs)
    }
  }

  return {
    windows,
    isPending: (window) => dirty.has(window),
    through: () => through,
    apply({ topic, partition, records, closing }) {
      for (const record of records) merge(record)
      const report = reportOf(topic, partition, closing)
      reportWatermark(watermarks, report)
      reportLateness(lateness, report, watermarks)
      advance()
    },
  }
}

/** The key of a window in a ledger; both times in milliseconds. */
export function windowName(group: string, sizeMs: number, endMs: number): string {
  return `${sizeMs}/${endMs}/${group}`
}

/** What was found of the windows of one group and size. */
export interface WindowTotals {
  /** `[model,tenant]`, the series of a grouping; or the one series that was asked for. */
  readonly of: string
  readonly sizeS: number
  windows: number
  /** Requests in the slices of these windows... */
  sliced: number
  /** ...in their latest results... */
  counted: number
  /** ...too late for them... */
  late: number
  /** ...and in corrections that are still to come, perhaps with some of what is too late. */
  pending: number
}

export interface Comparison {
  /** By the slices that statistics had committed before the results were read. */
  readonly least: Ledger
  /** By all slices, read after the results. */
  readonly most: Ledger
  /** The sums of the latest final results of each group, by windowName. */
  readonly published: ReadonlyMap<string, Counts>
  /** Windows that begin before it, or end after, are not looked at. */
  readonly fromMs: number
  readonly toMs: number
  /** Whether a group has but one series. */
  isOne(group: string): boolean
}

/** Compares every closed window of one partition of the slices with what was published of it. */
export function checkWindows(
  { least, most, published, fromMs, toMs, isOne }: Comparison,
  totalsOf: (group: string, sizeMs: number) => WindowTotals | null,
  findings: Findings,
): void {
  for (const key of [...new Set([...most.windows.keys(), ...published.keys()])].sort(byEnd)) {
    const { sizeMs, endMs, group } = windowNamed(key)
    const row = totalsOf(group, sizeMs)
    const isSeen = endMs - sizeMs >= fromMs && endMs <= Math.min(toMs, least.through())
    if (!row || !isSeen) continue
    const window = most.windows.get(key)
    const low = least.windows.get(key)?.published ?? noCounts()
    const high = window?.published ?? noCounts()
    const sum = window?.sum ?? noCounts()
    const result = published.get(key)
    const says = result ?? noCounts()
    const place = `${AGGREGATES} ${group}`
    const name = `${sizeMs / 1000} s from ${new Date(endMs - sizeMs).toISOString()}`
    if (!result && least.windows.get(key)?.published) {
      findings.add('window', place, `${name} was not published; ${told(sum)} in its slices`)
    } else {
      // A backfill (lens replay) publishes what had been too late: of a series the sum of all.
      const from = isOne(group) ? sum : low
      const isBackfill = says.every((n, i) => n >= from[i]! && n <= sum[i]!)
      const i = says.findIndex((n, k) => n < low[k]! || n > high[k]!)
      if (i >= 0 && !isBackfill) {
        const late = sum[i]! - high[i]!
        const figures = `${says[i]} ${COUNTED[i]!.name} in the result, ${sum[i]} in the slices`
        findings.add('window', place, `${name}: ${figures}, ${late} of them too late`)
      }
    }
    row.windows++
    row.sliced += sum[REQUESTS_AT]!
    row.counted += says[REQUESTS_AT]!
    const left = sum[REQUESTS_AT]! - high[REQUESTS_AT]!
    if (window && most.isPending(window)) row.pending += left
    else row.late += left
  }
}

/** Before the first window. */
export function noTotals(of: string, sizeMs: number): WindowTotals {
  return { of, sizeS: sizeMs / 1000, windows: 0, sliced: 0, counted: 0, late: 0, pending: 0 }
}

function windowNamed(key: string): { sizeMs: number; endMs: number; group: string } {
  const [size, end, ...group] = key.split('/')
  return { sizeMs: Number(size), endMs: Number(end), group: group.join('/') }
}

function byEnd(a: string, b: string): number {
  const [one, other] = [windowNamed(a), windowNamed(b)]
  return one.endMs - other.endMs || one.sizeMs - other.sizeMs
}

function told(counts: Counts): string {
  return `${counts[REQUESTS_AT]} requests`
}
