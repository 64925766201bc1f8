import { hash } from 'node:crypto'
import type { Aggregate, DeadLetter } from '../../schemas/records.ts'
import { AGGREGATES, DEAD_LETTERS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { OffsetRange } from '../bus/port.ts'
import { readRanges } from '../bus/read-range.ts'
import { partitionOf } from '../core/hash.ts'
import { seriesOf } from '../core/windows/series.ts'
import type { ObjectStore } from '../lake/store.ts'
import { addCounts, type Counts, countsOfAggregate, noCounts } from './audit-counts.ts'
import { type Covered, coverSource } from './audit-cover.ts'
import type { Findings } from './audit-findings.ts'
import { auditLake } from './audit-lake.ts'
import { type AuditParts, committedOf, decodeBatch, progressOf } from './audit-parts.ts'
import { createRawCheck } from './audit-raw.ts'
import type { AuditResult } from './audit-report.ts'
import {
  groupIn,
  readSlices,
  type SliceLane,
  type Slices,
  type SlicesPlan,
  SOURCES,
  spansOf,
} from './audit-slices.ts'
import { FLEET } from './audit-tiles.ts'
import { checkWindows, noTotals, type WindowTotals, windowName } from './audit-windows.ts'
import { createOffsetSet, type OffsetSet } from './offset-set.ts'

/** What is audited. */
export interface AuditPlan extends SlicesPlan {
  /** Append times of the raw records; infinite for all. */
  readonly sinceMs: number
  readonly untilMs: number
  readonly lake: ObjectStore | null
}

/** Reads everything, each topic once, and compares it stage by stage. */
export async function runAudit(parts: AuditParts, plan: AuditPlan): Promise<AuditResult> {
  const { bus } = parts
  // In this order: what a stage had committed first, so that its output must be there.
  const done = new Map<string, (number | null)[]>()
  for (const topic of SOURCES) done.set(topic, await committedOf(bus, 'lens-windowing', topic))
  const merged = await committedOf(bus, 'lens-statistics', WINDOW_SLICES)
  const results = await bus.offsets(AGGREGATES)
  const slices = await readSlices(parts, plan, merged)
  const { findings, tiling, groupings, lanes } = slices
  const covers = new Map<string, Covered[]>()
  for (const topic of SOURCES) {
    const ranges = await bus.offsets(topic)
    const own = ranges.map(({ first }, partition) => {
      const wanted = {
        ...{ name: `${topic}-${partition}`, first, end: done.get(topic)![partition] ?? first },
        ...{ sinceMs: plan.sinceMs, untilMs: plan.untilMs, slicePartitions: lanes.length },
        isTruncated: (q: number) => lanes[q]!.isTruncated,
      }
      return coverSource(tiling.source(topic, partition), wanted, findings)
    })
    covers.set(topic, own)
  }
  const letters = await readLetters(parts, covers)
  const sources = []
  for (const topic of SOURCES) {
    const own = covers.get(topic)!
    sources.push(...(await checkRaw(parts, topic, own, letters.get(topic)!, slices)))
  }
  const published = await readPublished(parts, plan, lanes, results, findings)
  const windows = compareWindows(plan, lanes, published, findings)
  const lake = plan.lake === null ? [] : await auditLake(parts, plan.lake, covers, findings)
  return { groupings: [...groupings].sort(), sources, windows, lake, findings }
}

function compareWindows(
  plan: AuditPlan,
  lanes: readonly SliceLane[],
  published: readonly ReadonlyMap<string, Counts>[],
  findings: Findings,
): WindowTotals[] {
  const totals = new Map<string, WindowTotals>()
  function totalsOf(group: string, sizeMs: number): WindowTotals | null {
    if (!plan.sizesMs.includes(sizeMs)) return null
    const key = `${group} ${String(sizeMs).padStart(10)}`
    const row = totals.get(key) ?? noTotals(group, sizeMs)
    totals.set(key, row)
    return row
  }
  for (const [q, lane] of lanes.entries()) {
    const isOne = (group: string) => plan.series !== null || group === `[${FLEET}]`
    const what = { ...lane, published: published[q]!, ...spanOf(plan, lane), isOne }
    checkWindows(what, totalsOf, findings)
  }
  return [...totals].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}

/** The windows of a partition of the slices that can be compared: those within it. */
function spanOf({ sinceMs, untilMs }: AuditPlan, { completeFromMs }: SliceLane) {
  return { fromMs: Math.max(sinceMs, completeFromMs), toMs: untilMs }
}

/** The offsets, within what is audited, that windowing has put into lens.dead-letters. */
async function readLetters(
  { bus, codec, log }: AuditParts,
  covers: ReadonlyMap<string, readonly Covered[]>,
): Promise<Map<string, OffsetSet[]>> {
  const found = new Map([...covers].map(([topic, own]) => [topic, own.map(createOffsetSet)]))
  const progress = progressOf(DEAD_LETTERS, log)
  const spans = spansOf(await bus.offsets(DEAD_LETTERS))
  await readRanges(bus, DEAD_LETTERS, spans, async (_, records) => {
    for (const { value } of await decodeBatch(codec, DEAD_LETTERS, records)) {
      if (value === null) continue
      const { topic, partition, offset } = value as DeadLetter
      const cover = covers.get(topic)?.[partition]
      if (!cover || offset < cover.from || offset >= cover.end) continue
      found.get(topic)![partition]!.add(offset)
    }
    progress(records.length)
  })
  return found
}

async function checkRaw(
  { bus, codec, log }: AuditParts,
  topic: string,
  covers: readonly Covered[],
  letters: readonly OffsetSet[],
  { tiling, findings }: Slices,
) {
  const checks = covers.map((cover, partition) => {
    const source = { ...cover, topic, partition, letters: letters[partition]! }
    return createRawCheck(source, findings)
  })
  const progress = progressOf(topic, log)
  await readRanges(bus, topic, covers, async (partition, records) => {
    for (const { offset, value } of await decodeBatch(codec, topic, records)) {
      checks[partition]!.take(offset, value)
    }
    progress(records.length)
  })
  return checks.map((check, partition) => {
    const { from, end } = covers[partition]!
    const { repeats } = tiling.source(topic, partition)
    return { topic, partition, from, end, repeats, ...check.end() }
  })
}

/** What the results of one series and window say. */
interface Published {
  /** By windowName. */
  readonly window: string
  /** By revision. */
  readonly digests: string[]
  revision: number
  counts: Counts
}

/** By partition of the slices: the sums of the latest final results of each group. */
async function readPublished(
  { bus, codec, log }: AuditParts,
  plan: AuditPlan,
  lanes: readonly SliceLane[],
  ranges: readonly OffsetRange[],
  findings: Findings,
): Promise<readonly ReadonlyMap<string, Counts>[]> {
  const latest = lanes.map(() => new Map<string, Published>())

  function take(aggregate: Aggregate, bytes: Uint8Array, place: string): void {
    const { size_s, start, end, revision } = aggregate
    const group = groupIn(plan, aggregate.series)
    const { key } = seriesOf(aggregate.series)
    const q = partitionOf(key, lanes.length)
    const { fromMs, toMs } = spanOf(plan, lanes[q]!)
    if (group === null || start < fromMs || end > toMs) return
    const own = latest[q]!
    const window = windowName(group, size_s * 1000, end)
    const known = own.get(`${window} ${key}`) ?? { window, digests: [], revision: -1, counts: [] }
    own.set(`${window} ${key}`, known)
    const digest = hash('md5', bytes, 'base64')
    const before = known.digests[revision]
    known.digests[revision] = digest
    if (before && before !== digest) {
      findings.add(
        'repeat',
        place,
        `two results of ${size_s} s from ${start}, revision ${revision}`,
      )
    }
    if (revision < known.revision) return
    known.revision = revision
    known.counts = countsOfAggregate(aggregate)
  }

  const progress = progressOf(AGGREGATES, log)
  await readRanges(bus, AGGREGATES, spansOf(ranges), async (partition, records) => {
    for (const { offset, value, bytes } of await decodeBatch(codec, AGGREGATES, records)) {
      const place = `${AGGREGATES}-${partition}`
      if (value === null) findings.add('unreadable', place, `the record at ${offset}`)
      else take(value as Aggregate, bytes!, place)
    }
    progress(records.length)
  })
  return latest.map(sumsByGroup)
}

function sumsByGroup(results: ReadonlyMap<string, Published>): ReadonlyMap<string, Counts> {
  const sums = new Map<string, Counts>()
  for (const { window, counts } of results.values()) {
    const sum = sums.get(window) ?? noCounts()
    sums.set(window, sum)
    addCounts(sum, counts)
  }
  return sums
}
