import { hash } from 'node:crypto'
import type { Aggregate, DeadLetter } from '../../schemas/records.ts'
import { AGGREGATES, DEAD_LETTERS, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { OffsetRange } from '../bus/port.ts'
import { readRanges } from '../bus/read-range.ts'
import { partitionOf } from '../core/hash.ts'
import { type Series, seriesOf } from '../core/windows/series.ts'
import { type Covered, coverSource } from './audit-cover.ts'
import type { Findings } from './audit-findings.ts'
import { auditLake } from './audit-lake.ts'
import { createOffsetSet, type OffsetSet } from './audit-offsets.ts'
import { type AuditParts, committedOf, decodeBatch, progressOf } from './audit-parts.ts'
import { createRawCheck } from './audit-raw.ts'
import type { AuditResult } from './audit-report.ts'
import {
  FLEET,
  readSlices,
  type Slices,
  type SlicesPlan,
  SOURCES,
  spansOf,
} from './audit-slices.ts'
import { checkWindows, windowName } from './audit-windows.ts'

/** What is audited. */
export interface AuditPlan extends SlicesPlan {
  /** Append times of the raw records; infinite for all. */
  readonly sinceMs: number
  readonly untilMs: number
  /** The folder of the lake, or null. */
  readonly lake: string | null
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
  const { findings, tiling } = slices
  const covers = new Map<string, Covered[]>()
  for (const topic of SOURCES) {
    const ranges = await bus.offsets(topic)
    const own = ranges.map(({ first }, partition) => {
      const wanted = {
        ...{ name: `${topic}-${partition}`, first, end: done.get(topic)![partition] ?? first },
        ...{
          sinceMs: plan.sinceMs,
          untilMs: plan.untilMs,
          slicePartitions: slices.truncated.length,
        },
        isTruncated: (q: number) => slices.truncated[q]!,
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
  const series = seriesOf(plan.series)
  const published = await readPublished(parts, series, results, findings)
  const fromMs = Math.max(plan.sinceMs, slices.completeFromMs)
  const window = { ...slices, published, fromMs, toMs: plan.untilMs }
  const windows = checkWindows(window, plan.sizesMs, `${AGGREGATES} ${series.key}`, findings)
  const lake = plan.lake === null ? [] : await auditLake(parts, plan.lake, covers, findings)
  return { grouping: slices.grouping, series: series.key, sources, windows, lake, findings }
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
  { tiling, findings, grouping }: Slices,
) {
  // A sample joins the groupings whose dimensions it carries, and the fleet's.
  const isSummed = topic === TOKEN_EVENTS || grouping === FLEET
  const checks = covers.map((cover, partition) => {
    const source = { ...cover, topic, partition, letters: letters[partition]!, isSummed }
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

/** The latest final result of each window of a series. */
async function readPublished(
  { bus, codec, log }: AuditParts,
  series: Series,
  ranges: readonly OffsetRange[],
  findings: Findings,
): Promise<Map<string, Aggregate>> {
  const latest = new Map<string, Aggregate>()
  const digests = new Map<string, string>()
  const own = partitionOf(series.key, ranges.length)
  const spans = spansOf(ranges).map((span, i) => (i === own ? span : { from: 0, end: 0 }))
  const progress = progressOf(AGGREGATES, log)
  await readRanges(bus, AGGREGATES, spans, async (partition, records) => {
    for (const { offset, value, bytes } of await decodeBatch(codec, AGGREGATES, records)) {
      const place = `${AGGREGATES}-${partition}`
      if (value === null) findings.add('unreadable', place, `the record at ${offset}`)
      const aggregate = value as Aggregate | null
      if (!aggregate || seriesOf(aggregate.series).key !== series.key) continue
      const key = windowName(aggregate.size_s * 1000, aggregate.end)
      const digest = hash('md5', bytes!, 'base64')
      const before = digests.get(`${key}/${aggregate.revision}`)
      digests.set(`${key}/${aggregate.revision}`, digest)
      if (before && before !== digest) {
        const text = `two results of ${aggregate.size_s} s from ${aggregate.start}, revision ${aggregate.revision}`
        findings.add('repeat', place, text)
      }
      if (aggregate.revision >= (latest.get(key)?.revision ?? 0)) latest.set(key, aggregate)
    }
    progress(records.length)
  })
  return latest
}
