import { hash } from 'node:crypto'
import type { WindowSlice } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { OffsetRange } from '../bus/port.ts'
import { readRanges, type Span } from '../bus/read-range.ts'
import { partitionOf } from '../core/hash.ts'
import type { WindowPlan } from '../core/windows/hopping.ts'
import { seriesOf } from '../core/windows/series.ts'
import { createFindings, type Findings } from './audit-findings.ts'
import { type AuditParts, decodeBatch, progressOf } from './audit-parts.ts'
import { createTiling, type Tiling } from './audit-tiles.ts'
import { createLedger, type Ledger } from './audit-windows.ts'

/** Topics that windowing reads. */
export const SOURCES = [TOKEN_EVENTS, RESOURCE_SAMPLES] as const

/** Whose windows are compared, and how they are made. */
export interface SlicesPlan extends WindowPlan {
  readonly latenessMs: number
  readonly series: Readonly<Record<string, string>>
}

/** The fleet's slices hold every record; else those of the grouping with the most dimensions. */
export const FLEET = ''

/** After the latest event that truncated slices may have held, with the disorder and to spare. */
const TRUNCATED_MARGIN_MS = 60_000

/** What lens.window-slices says. */
export interface Slices {
  readonly tiling: Tiling
  /** By partition: whether its oldest records are gone. */
  readonly truncated: readonly boolean[]
  readonly findings: Findings
  readonly least: Ledger
  readonly most: Ledger
  /** Dimensions of the grouping that was summed, by commas. */
  readonly grouping: string
  readonly groupings: ReadonlySet<string>
  /** Windows that begin earlier may have had slices that are gone. */
  readonly completeFromMs: number
}

/** Reads lens.window-slices; again for another grouping when the fleet is none of them. */
export async function readSlices(
  parts: AuditParts,
  plan: SlicesPlan,
  merged: readonly (number | null)[],
): Promise<Slices> {
  const slices = await readSlicesBy(FLEET, parts, plan, merged)
  const { groupings } = slices
  if (groupings.size === 0 || groupings.has(FLEET)) return slices
  const byDimensions = [...groupings].sort((a, b) => b.split(',').length - a.split(',').length)
  return readSlicesBy(byDimensions[0]!, parts, plan, merged)
}

async function readSlicesBy(
  grouping: string,
  { bus, codec, log }: AuditParts,
  plan: SlicesPlan,
  merged: readonly (number | null)[],
): Promise<Slices> {
  const findings = createFindings()
  const series = seriesOf(plan.series)
  const ranges = await bus.offsets(WINDOW_SLICES)
  const truncated = ranges.map(({ first }) => first > 0)
  const own = partitionOf(series.key, ranges.length)
  const policy = { ...plan, sourceTopics: SOURCES }
  const [least, most] = [createLedger(policy), createLedger(policy)]
  const groupings = new Set<string>()
  const seen = new Set<string>()
  let completeFromMs = Number.NEGATIVE_INFINITY
  const tiling = createTiling(
    {
      isTruncated: (q) => truncated[q]!,
      isSummed: (labels) => groupingOf(labels) === grouping,
      isKept: (record) => seriesOf(record.series!).key === series.key,
    },
    findings,
  )

  function noteFirst({ source_topic, source_partition, closing }: WindowSlice): void {
    const source = `${source_topic}-${source_partition}`
    if (!closing || seen.has(source) || !truncated[own]) return
    seen.add(source)
    if (closing.event_watermark < 0) return
    completeFromMs = Math.max(completeFromMs, closing.event_watermark + TRUNCATED_MARGIN_MS)
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
      if (q === own) noteFirst(record)
      const range = tiling.add(q, record, hash('md5', bytes!, 'base64'))
      if (!range || q !== own) continue
      most.apply(range)
      if (offset < (merged[q] ?? 0)) least.apply(range)
    }
    progress(records.length)
  })
  return { tiling, truncated, findings, least, most, grouping, groupings, completeFromMs }
}

function groupingOf(series: Readonly<Record<string, string>>): string {
  return Object.keys(series).sort().join(',')
}

/** All that the partitions hold. */
export function spansOf(ranges: readonly OffsetRange[]): Span[] {
  return ranges.map(({ first, end }) => ({ from: first, end }))
}
