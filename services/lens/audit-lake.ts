import type { Bus } from '../bus/port.ts'
import { readRanges, type Span } from '../bus/read-range.ts'
import { cellsOf, type Dataset } from '../formats/column.ts'
import { DATASETS } from '../formats/datasets.ts'
import type { RowSource } from '../formats/parquet.ts'
import type { FileOrigin } from '../formats/parquet-origin.ts'
import { expiredBefore } from '../lake/expiry.ts'
import { lakePath, liesBefore } from '../lake/lake-path.ts'
import type { ObjectStore } from '../lake/store.ts'
import { type Findings, span } from './audit-findings.ts'
import { listFiles, originsOf } from './audit-lake-files.ts'
import { type AuditParts, committedOf, decodeBatch, progressOf } from './audit-parts.ts'
import { createOffsetSet, type OffsetSet } from './offset-set.ts'

/** The consumer group of the exporter's lake stage. */
const LAKE_GROUP = 'lens-exporter-lake'

/** What was found of one dataset and partition. */
export interface LakeTotals {
  readonly dataset: string
  readonly partition: number
  readonly from: number
  readonly end: number
  files: number
  /** Records of the topic that should have a row... */
  expected: number
  /** ...of these, the ones that have it... */
  found: number
  /** ...and the ones that no row can hold. */
  refused: number
}

/**
 * That each record that makes a row is in exactly one file, for every dataset up to what the
 * exporter has committed. `within` bounds the offsets of a topic, by partition.
 */
export async function auditLake(
  parts: AuditParts,
  lake: ObjectStore,
  within: ReadonlyMap<string, readonly Span[]>,
  findings: Findings,
): Promise<LakeTotals[]> {
  const spansByTopic = new Map<string, Span[]>()
  for (const { topic } of DATASETS) {
    spansByTopic.set(topic, await spansOf(parts.bus, topic, within.get(topic)))
  }
  // Listed last: what is committed by now is there.
  const expiredMs = await expiredBefore(lake)
  const files = await listFiles(lake, expiredMs)
  const all: LakeTotals[] = []
  for (const dataset of DATASETS) {
    const spans = spansByTopic.get(dataset.topic)!
    const checks: PartitionCheck[] = []
    for (const [partition, range] of spans.entries()) {
      checks.push(createCheck(dataset, partition, range, expiredMs, findings))
    }
    const own = files.filter((path) => path.startsWith(`${dataset.name}/`))
    parts.log(`${dataset.name}: reading ${own.length} files`)
    for await (const [path, origin] of originsOf(lake, dataset, own)) {
      if (origin instanceof Error) {
        findings.add('unreadable', dataset.name, `${path}: ${origin.message}`)
      } else shareOut(path, origin, checks)
    }
    const progress = progressOf(dataset.topic, parts.log)
    await readRanges(parts.bus, dataset.topic, spans, async (partition, records) => {
      for (const { offset, value } of await decodeBatch(parts.codec, dataset.topic, records)) {
        if (value !== null) checks[partition]!.record(offset, value)
      }
      progress(records.length)
    })
    all.push(...checks.map((check) => check.end()))
  }
  return all
}

/** Gives each partition its rows of a file. */
function shareOut(
  path: string,
  { range, partitions, offsets }: FileOrigin,
  checks: readonly PartitionCheck[],
): void {
  const ranges: readonly (Range & Pick<RowSource, 'partition'>)[] = range.sources ?? [range]
  for (const [partition, sources] of Map.groupBy(ranges, (own) => own.partition)) {
    const own = offsets.filter((_, row) => partitions[row] === partition)
    checks[partition]?.file(path, sources, own)
  }
}

/** From the oldest record that is left to what the exporter has committed. */
async function spansOf(bus: Bus, topic: string, within?: readonly Span[]): Promise<Span[]> {
  const committed = await committedOf(bus, LAKE_GROUP, topic)
  return (await bus.offsets(topic)).map(({ first, end }, partition) => {
    const most = within?.[partition] ?? { from: first, end }
    const from = Math.max(first, most.from)
    return { from, end: Math.max(from, Math.min(committed[partition] ?? first, most.end)) }
  })
}

type Range = Pick<RowSource, 'from' | 'to'>

interface PartitionCheck {
  /** The ranges of the partition that a file has rows of, and their offsets. */
  file(path: string, ranges: readonly Range[], offsets: readonly number[]): void
  record(offset: number, value: unknown): void
  end(): LakeTotals
}

function createCheck(
  dataset: Dataset,
  partition: number,
  { from, end }: Span,
  expiredMs: number,
  findings: Findings,
): PartitionCheck {
  const name = `${dataset.name}-${partition}`
  const totals: LakeTotals = {
    ...{ dataset: dataset.name, partition, from, end },
    ...{ files: 0, expected: 0, found: 0, refused: 0 },
  }
  const offsets: OffsetSet = createOffsetSet()
  const ranges = new Map<number, number>()
  const missing: number[] = []
  let missingCount = 0
  let within = 0

  return {
    file(path, own, rows) {
      totals.files++
      for (const range of own) {
        const to = ranges.get(range.from)
        if (to !== undefined && to !== range.to) {
          findings.add('lake_twice', name, `${path} ends at ${range.to}, another file at ${to}`)
        }
        ranges.set(range.from, range.to)
      }
      for (const offset of rows) {
        if (!offsets.add(offset)) findings.add('lake_twice', name, `${offset} again in ${path}`)
        else if (offset >= from && offset < end) within++
      }
    },
    record(offset, value) {
      if (!dataset.keeps(value) || hasExpired(dataset, value, expiredMs)) return
      totals.expected++
      if (offsets.has(offset)) totals.found++
      else if (isRefused(dataset, partition, offset, value)) totals.refused++
      else {
        missingCount++
        if (missing.length < 5) missing.push(offset)
      }
    },
    end() {
      if (missingCount > 0) {
        const text = `${missingCount} records have no row, first at ${missing.join(', ')}`
        findings.add('lake_missing', name, text)
      }
      if (within > totals.found) {
        findings.add('lake_extra', name, `${within - totals.found} rows are of no such record`)
      }
      let last = Number.NEGATIVE_INFINITY
      for (const [start, to] of [...ranges].sort(([a], [b]) => a - b)) {
        const text = `the files from ${start} overlap those that end at ${last}`
        if (start < last) findings.add('lake_twice', name, `${text}: ${span(start, last)}`)
        last = Math.max(last, to)
      }
      return totals
    },
  }
}

/** Whether the record's row lies in an hour that may be gone. */
function hasExpired(dataset: Dataset, record: unknown, expiredMs: number): boolean {
  const place = { dataset: dataset.name, topic: dataset.topic, partition: 0, from: 0 }
  const path = lakePath(place, dataset.eventUs(record))
  return path !== null && liesBefore(path, expiredMs)
}

/** Whether no file can hold the record: the exporter counts it as refused. */
function isRefused(dataset: Dataset, partition: number, offset: number, record: unknown): boolean {
  const eventUs = dataset.eventUs(record)
  if (!Number.isSafeInteger(eventUs) || eventUs < 0) return true
  return 'fault' in cellsOf(dataset.columns, { partition, offset, record })
}
