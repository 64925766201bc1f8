import { hash } from 'node:crypto'
import type { WindowSlice } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { OffsetRange } from '../bus/port.ts'
import { readRanges, type Span } from '../bus/read-range.ts'
import type { WindowPlan } from '../core/windows/hopping.ts'
import { seriesOf } from '../core/windows/series.ts'
import { createFindings, type Findings } from './audit-findings.ts'
import { type AuditParts, decodeBatch, progressOf } from './audit-parts.ts'
import { createTiling, groupingOf, type Tiling } from './audit-tiles.ts'
import { createLedger, type Ledger } from './audit-windows.ts'

/** Topics that windowing reads. */
export const SOURCES = [TOKEN_EVENTS, RESOURCE_SAMPLES] as const

type Labels = Readonly<Record<string, string>>

/** Whose windows are compared, and how they are made. */
export interface SlicesPlan extends WindowPlan {
  readonly latenessMs: number
  /** One series; null: all, those of a grouping together. */
  readonly series: Labels | null
}

/** After the latest event that truncated slices may have held, with the disorder and to spare. */
const TRUNCATED_MARGIN_MS = 60_000

/** What lens.window-slices says. */
export interface Slices {
  readonly tiling: Tiling
  readonly findings: Findings
  /** Dimensions of each grouping of token events, by commas. */
  readonly groupings: ReadonlySet<string>
  readonly lanes: readonly SliceLane[]
}

/** One of its partitions. */
export interface SliceLane {
  /** Its oldest records are gone. */
  readonly isTruncated: boolean
  /** By what statistics had merged before its results were read, and by all. */
  readonly least: Ledger
  readonly most: Ledger
  /** Windows that begin earlier may have had slices that are gone. */
  completeFromMs: number
}

/** Reads lens.window-slices; `merged` is what statistics had committed. */
export async function readSlices(
  { bus, codec, log }: AuditParts,
  plan: SlicesPlan,
  merged: readonly (number | null)[],
): Promise<Slices> {
  const findings = createFindings()
  const ranges = await bus.offsets(WINDOW_SLICES)
  const groupOf = (series: Labels) => groupIn(plan, series) ?? ''
  const policy = { ...plan, sourceTopics: SOURCES, groupOf }
  const lanes: SliceLane[] = ranges.map(({ first }) => {
    const ledgers = { least: createLedger(policy), most: createLedger(policy) }
    return { ...ledgers, isTruncated: first > 0, completeFromMs: Number.NEGATIVE_INFINITY }
  })
  const groupings = new Set<string>()
  const seen = new Set<string>()
  const tiling = createTiling(
    {
      isTruncated: (q) => lanes[q]!.isTruncated,
      isKept: (record) => groupIn(plan, record.series!) !== null,
    },
    findings,
  )

  function noteFirst(q: number, { source_topic, source_partition, closing }: WindowSlice): void {
    const source = `${q} ${source_topic}-${source_partition}`
    const lane = lanes[q]!
    if (!closing || seen.has(source) || !lane.isTruncated) return
    seen.add(source)
    if (closing.event_watermark < 0) return
    const fromMs = closing.event_watermark + TRUNCATED_MARGIN_MS
    lane.completeFromMs = Math.max(lane.completeFromMs, fromMs)
  }

  const progress = progressOf(WINDOW_SLICES, log)
  await readRanges(bus, WINDOW_SLICES, spansOf(ranges), async (q, records) => {
    for (const { offset, value, bytes } of await decodeBatch(codec, WINDOW_SLICES, records)) {
      if (value === null) {
        findings.add('unreadable', `${WINDOW_SLICES}-${q}`, `the record at ${offset}`)
        continue
      }
      const record = value as WindowSlice
      if (record.series && record.source_topic === TOKEN_EVENTS) {
        groupings.add(groupingOf(record.series))
      }
      noteFirst(q, record)
      const range = tiling.add(q, record, hash('md5', bytes!, 'base64'))
      if (!range) continue
      lanes[q]!.most.apply(range)
      if (offset < (merged[q] ?? 0)) lanes[q]!.least.apply(range)
    }
    progress(records.length)
  })
  return { tiling, findings, groupings, lanes }
}

/** What a series is compared together with: its grouping, or the one that was asked for. */
export function groupIn({ series }: SlicesPlan, labels: Labels): string | null {
  if (series === null) return `[${groupingOf(labels)}]`
  const { key } = seriesOf(labels)
  return key === seriesOf(series).key ? key : null
}

/** All that the partitions hold. */
export function spansOf(ranges: readonly OffsetRange[]): Span[] {
  return ranges.map(({ first, end }) => ({ from: first, end }))
}
