import { datasetNamed, datasetsOf } from '../formats/datasets.ts'
import type { RowSource } from '../formats/parquet.ts'
import { type FileOrigin, readOrigin } from '../formats/parquet-origin.ts'
import { generationOf, type RecordedCompaction } from '../lake/compaction.ts'
import { expiredBefore } from '../lake/expiry.ts'
import { type LakeFiles, type LiveFile, lakeFiles } from '../lake/lake-files.ts'
import { readCompactions, readLakeLog } from '../lake/lake-log.ts'
import { liesBefore } from '../lake/lake-path.ts'
import { type RangeMarker, sha256Of } from '../lake/range-marker.ts'
import type { ObjectStore } from '../lake/store.ts'
import { tileFaults } from '../lake/tiles.ts'

/** What the lake holds of one dataset and partition, or in files that are compacted. */
interface DatasetTotals {
  readonly dataset: string
  readonly topic: string
  /** Null for what is compacted: that is of all partitions. */
  readonly partition: number | null
  /** What its ranges cover; null for what is compacted. */
  from: number | null
  to: number | null
  ranges: number
  files: number
  rows: number
  bytes: number
}

export interface LakeState {
  readonly totals: readonly DatasetTotals[]
  /** Files whose rows are in others too, as during a compaction: the next one removes them. */
  readonly leftOver: number
  /** For a person; empty when nothing is wrong. */
  readonly faults: readonly string[]
}

const PROGRESS_FILES = 500

/**
 * Reads all of a lake. Markers are listed before files, so that a range that is being written is
 * either whole, or one of which there are files only: those are no fault where the tiles end.
 */
export async function verifyLake(
  store: ObjectStore,
  say: (line: string) => void,
): Promise<LakeState> {
  const { markers, compactions, faults: unread } = await readLakeLog(store)
  const expiredMs = await expiredBefore(store)
  const files = lakeFiles({ markers, compactions }, expiredMs)
  const faults = [...unread, ...tileFaults(markers), ...files.faults]
  if (markers.length === 0) faults.push(`${store.describe} has no range marker: is it the lake?`)
  const totals = totalsOf(markers)
  const isGone = goneSince(store, expiredMs)
  let seen = 0
  for (const file of files.live.values()) {
    const bytes = await store.get(file.path)
    if (bytes === null && (await isGone(file))) continue
    const fault = bytes === null ? 'it is not there' : fileFault(bytes, file)
    if (fault !== null) faults.push(`${file.path}: ${fault}`)
    totals.add(file)
    if (++seen % PROGRESS_FILES === 0) say(`${seen} of ${files.live.size} files`)
  }
  const { leftOver, stray } = await othersIn(store, files, await expiredBefore(store))
  faults.push(...stray.map((path) => `${path}: no marker names it`))
  return { totals: totals.all(), leftOver, faults }
}

/** Asks whether a file that is not there has expired or been replaced since the lake was listed. */
function goneSince(store: ObjectStore, expiredMs: number): (file: LiveFile) => Promise<boolean> {
  let beforeMs = expiredMs
  const known = new Map<string, Map<string, RecordedCompaction>>()
  return async ({ path, dataset }) => {
    if (liesBefore(path, beforeMs)) return true
    beforeMs = await expiredBefore(store)
    if (liesBefore(path, beforeMs)) return true
    const own = known.get(dataset) ?? new Map()
    known.set(dataset, own)
    return (await readCompactions(store, dataset, own)).some(({ inputs }) => {
      return inputs.some((input) => input.path === path)
    })
  }
}

/** What is wrong with a file of the lake; null when nothing is. */
function fileFault(bytes: Uint8Array, { dataset, sha256, sources }: LiveFile): string | null {
  if (sha256Of(bytes) !== sha256) return 'other bytes were put'
  const origin = readOrigin(bytes)
  const { range } = origin
  const isOwn = range.dataset === dataset && range.topic === datasetNamed(dataset).topic
  return isOwn ? rowsFault(origin, sources) : `it is of ${range.dataset} of ${range.topic}`
}

/** Whether the rows are those of the sources: as many of each, of its own offsets, each once. */
function rowsFault(
  { partitions, offsets }: FileOrigin,
  sources: readonly RowSource[],
): string | null {
  const rows = offsets.map((offset, i) => ({ partition: partitions[i]!, offset }))
  rows.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  let next = 0
  for (const { partition, from, to, rows: count } of sources.toSorted(byPlace)) {
    const begin = next
    let last = from - 1
    for (let row = rows[next]; row?.partition === partition && row.offset < to; row = rows[next]) {
      if (row.offset <= last) return `the row of offset ${row.offset} does not belong there`
      last = row.offset
      next++
    }
    if (next - begin !== count) {
      return `it has ${next - begin} rows of [${from}, ${to}) of partition ${partition} and not ${count}`
    }
  }
  const more = rows[next]
  return more === undefined ? null : `the row of offset ${more.offset} does not belong there`
}

function byPlace(a: RowSource, b: RowSource): number {
  return a.partition - b.partition || a.from - b.from
}

function totalsOf(markers: readonly RangeMarker[]) {
  const totals = new Map<string, DatasetTotals>()

  function of(dataset: string, topic: string, partition: number | null): DatasetTotals {
    const key = `${dataset} ${partition}`
    const counts = { from: null, to: null, ranges: 0, files: 0, rows: 0, bytes: 0 }
    const own = totals.get(key) ?? { dataset, topic, partition, ...counts }
    totals.set(key, own)
    return own
  }

  for (const { topic, partition, from, to } of markers.toSorted((a, b) => a.from - b.from)) {
    for (const { name } of datasetsOf(topic)) {
      const own = of(name, topic, partition)
      own.ranges++
      own.from ??= from
      own.to = Math.max(own.to ?? to, to)
    }
  }
  return {
    add({ dataset, path, sources, rows, bytes }: LiveFile): void {
      const isCompacted = generationOf(path) !== null
      const { topic } = datasetNamed(dataset)
      const own = of(dataset, topic, isCompacted ? null : sources[0]!.partition)
      own.files++
      own.rows += rows
      own.bytes += bytes
    },
    all: () => [...totals.values()].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1)),
  }
}

/**
 * The Parquet files that are no live ones: those whose rows are elsewhere, and of those that had no
 * marker the ones that have none now, but for one range of each partition that is being written:
 * that lies behind all others.
 */
async function othersIn(store: ObjectStore, files: LakeFiles, beforeMs: number) {
  let leftOver = 0
  const unnamed: string[] = []
  for await (const { path } of store.list('')) {
    if (!path.endsWith('.parquet') || files.live.has(path) || liesBefore(path, beforeMs)) continue
    if (files.replaced.has(path) || generationOf(path) !== null) leftOver++
    else unnamed.push(path)
  }
  if (unnamed.length === 0) return { leftOver, stray: [] }
  const { markers } = await readLakeLog(store)
  const named = new Set(markers.flatMap((marker) => marker.files.map(({ path }) => path)))
  const without = unnamed.filter((path) => !named.has(path))
  const newest = new Map<string, number>()
  for (const { topic, partition, to } of markers) grow(newest, `${topic}-${partition}`, to)
  for (const path of without) grow(newest, ...beginOf(path))
  const stray = without.filter((path) => {
    const [place, from] = beginOf(path)
    return newest.get(place) !== from
  })
  return { leftOver, stray }
}

/** Which partition a file is of, and the offset at which its range begins. */
function beginOf(path: string): [place: string, from: number] {
  const [, place = '', from = ''] = /([^/]+-\d+)-(\d+)\.parquet$/.exec(path) ?? []
  return [place, Number(from)]
}

function grow(largest: Map<string, number>, key: string, value: number): void {
  largest.set(key, Math.max(largest.get(key) ?? value, value))
}

/** Partitions in the order of their numbers, what is compacted behind them. */
function orderOf({ dataset, partition }: DatasetTotals): string {
  return `${dataset} ${partition === null ? '~' : String(partition).padStart(6, '0')}`
}
