/** Hand-made records of lens.window-slices, and what the audit's pure parts say of them. */
import type { Closing, WindowSlice } from '../../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { createAggregate } from '../../../services/core/windows/slice.ts'
import { coverSource } from '../../../services/lens/audit-cover.ts'
import { createFindings, type Findings } from '../../../services/lens/audit-findings.ts'
import { createRawCheck, type SourceTotals } from '../../../services/lens/audit-raw.ts'
import { createTiling } from '../../../services/lens/audit-tiles.ts'
import { createOffsetSet } from '../../../services/lens/offset-set.ts'
import { NOON_MS, sliceRecord, wholeRequest } from '../../records.ts'

export interface MadeRecord {
  readonly q: number
  readonly record: WindowSlice
}

/** The fleet's slice of [from, to) in partition q: one request of two chunks for each offset. */
export function fleet(q: number, from: number, to: number, requests = to - from): MadeRecord {
  const aggregate = createAggregate()
  Object.assign(aggregate, { requests, chunks: 2 * requests, outputTokens: 2 * requests })
  const slice = sliceRecord(NOON_MS, aggregate)
  const gaps = { id: 1, count: 2 * requests, zero_count: 0, sum_high: 0, sum_low: 0 }
  const rest = { squares_high: 0, squares_low: 0, min: 0, max: 0, offset: 0, counts: [] }
  const slices = [{ ...slice, metrics: [{ ...gaps, ...rest }] }]
  return { q, record: { ...place(from, to), series: {}, slices, closing: null } }
}

/** The closing record of [from, to) in partition q. */
export function closing(
  q: number,
  from: number,
  to: number,
  more: Partial<Closing> = {},
): MadeRecord {
  const counts = { series_count: q === 0 ? 1 : 0, records: to - from, dead_letters: 0 }
  const times = { watermark: NOON_MS, event_watermark: NOON_MS, complete_ms: NOON_MS + to }
  const value = { ...counts, ...times, source_partitions: 1, on_behalf: false, ...more }
  return { q, record: { ...place(from, to), series: null, slices: [], closing: value } }
}

/** A whole range: the fleet's slice in partition 0, a closing record in both. */
export function range(from: number, to: number): MadeRecord[] {
  return [fleet(0, from, to), closing(0, from, to), closing(1, from, to)]
}

function place(from: number, to: number) {
  return { source_topic: TOKEN_EVENTS, source_partition: 0, from, to }
}

export interface Audited {
  readonly findings: Findings
  readonly totals: SourceTotals
  readonly repeats: number
  /** `kind: text` of each. */
  readonly said: readonly string[]
}

interface World {
  readonly slices: readonly MadeRecord[]
  /** Offsets of the raw topic that hold a request; `bad` ones cannot be decoded. */
  readonly raw: readonly number[]
  readonly bad?: readonly number[]
  readonly letters?: readonly number[]
  /** The slices have lost their oldest records. */
  readonly isTruncated?: boolean
}

/** Audits one raw partition and two partitions of the slices. */
export function auditMade(world: World): Audited {
  const { slices, raw, bad = [], letters = [], isTruncated = false } = world
  const findings = createFindings()
  const policy = { isTruncated: () => isTruncated, isKept: () => false }
  const tiling = createTiling(policy, findings)
  for (const { q, record } of slices) tiling.add(q, record, JSON.stringify(record))
  const source = tiling.source(TOKEN_EVENTS, 0)
  const wanted = {
    ...{ name: `${TOKEN_EVENTS}-0`, first: raw[0]!, end: raw.at(-1)! + 1, slicePartitions: 2 },
    ...{ sinceMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY },
    isTruncated: policy.isTruncated,
  }
  const covered = coverSource(source, wanted, findings)
  const dead = createOffsetSet()
  for (const offset of letters) dead.add(offset)
  const at = {
    topic: TOKEN_EVENTS,
    partition: 0,
    letters: dead,
  }
  const check = createRawCheck({ ...covered, ...at }, findings)
  for (const offset of raw) {
    if (offset < covered.from || offset >= covered.end) continue
    check.take(offset, bad.includes(offset) ? null : wholeRequest())
  }
  const totals = check.end()
  const said = findings.list.map(({ kind, text }) => `${kind}: ${text}`)
  return { findings, totals, repeats: source.repeats, said }
}
