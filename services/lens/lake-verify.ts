import { createHash } from 'node:crypto'
import { datasetsOf } from '../formats/datasets.ts'
import { readOrigin } from '../formats/parquet-origin.ts'
import { expiredBefore, isExpired } from '../lake/expiry.ts'
import {
  type FileEntry,
  MARKERS,
  type OffsetRange,
  type RangeMarker,
  readMarker,
} from '../lake/range-marker.ts'
import type { ObjectStore } from '../lake/store.ts'
import { tileFaults } from '../lake/tiles.ts'

/** What the lake holds of one dataset and partition. */
interface DatasetTotals extends OffsetRange {
  readonly dataset: string
  ranges: number
  files: number
  rows: number
  bytes: number
}

export interface LakeState {
  readonly totals: readonly DatasetTotals[]
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
  log: (line: string) => void,
): Promise<LakeState> {
  const { markers, faults } = await readMarkers(store)
  faults.push(...tileFaults(markers))
  let beforeMs = await expiredBefore(store)
  const totals = new Map<string, DatasetTotals>()
  const named = new Set<string>()
  for (const marker of markers.toSorted((a, b) => a.from - b.from)) {
    for (const { name } of datasetsOf(marker.topic)) totalsOf(totals, marker, name).ranges++
    for (const file of marker.files) {
      named.add(file.path)
      const bytes = await store.get(file.path)
      // It may have expired since we began: that is said before a file is removed.
      if (bytes === null && !isExpired(file.path, beforeMs)) beforeMs = await expiredBefore(store)
      if (bytes === null && isExpired(file.path, beforeMs)) continue
      const fault = bytes === null ? 'it is not there' : fileFault(bytes, marker, file)
      if (fault !== null) faults.push(`${file.path}: ${fault}`)
      const own = totalsOf(totals, marker, file.dataset)
      own.files++
      own.rows += file.rows
      own.bytes += file.bytes
      if (named.size % PROGRESS_FILES === 0) log(`${named.size} files`)
    }
  }
  const all = [...totals.values()]
  if (markers.length === 0) faults.push(`${store.describe} has no range marker: is it the lake?`)
  const unnamed: string[] = []
  for await (const { path } of store.list('')) {
    const isRow = path.endsWith('.parquet') && !isExpired(path, beforeMs)
    if (isRow && !named.has(path)) unnamed.push(path)
  }
  const stray = unnamed.length === 0 ? [] : strayOf(unnamed, (await readMarkers(store)).markers)
  faults.push(...stray.map((path) => `${path}: no marker names it`))
  const ordered = all.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
  return { totals: ordered, faults }
}

/** Every marker that can be read, and what is wrong with the others. */
export async function readMarkers(
  store: ObjectStore,
): Promise<{ markers: RangeMarker[]; faults: string[] }> {
  const markers: RangeMarker[] = []
  const faults: string[] = []
  for await (const { path } of store.list(MARKERS)) {
    const bytes = await store.get(path)
    // Expired since it was listed.
    if (bytes === null) continue
    try {
      markers.push(readMarker(bytes))
    } catch (error) {
      faults.push(`${path}: ${(error as Error).message}`)
    }
  }
  return { markers, faults }
}

/** What is wrong with a file that a marker names; null when nothing is. */
function fileFault(
  bytes: Uint8Array,
  marker: RangeMarker,
  { dataset, rows, sha256 }: FileEntry,
): string | null {
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) return 'other bytes were put'
  const { range, offsets } = readOrigin(bytes)
  const isOwn = range.topic === marker.topic && range.partition === marker.partition
  if (!isOwn || range.dataset !== dataset) return `it is of ${range.dataset} of ${range.topic}`
  if (offsets.length !== rows) return `it has ${offsets.length} rows and not ${rows}`
  const bad = offsets.find((offset, i) => {
    return offset < marker.from || offset >= marker.to || offset <= (offsets[i - 1] ?? -1)
  })
  return bad === undefined ? null : `the row of offset ${bad} does not belong there`
}

function totalsOf(
  totals: Map<string, DatasetTotals>,
  { topic, partition, from, to }: OffsetRange,
  dataset: string,
): DatasetTotals {
  const key = `${dataset} ${topic} ${partition}`
  const known = totals.get(key)
  const own = { ranges: 0, files: 0, rows: 0, bytes: 0, ...known }
  const first = Math.min(from, known?.from ?? from)
  const grown = {
    ...own,
    dataset,
    topic,
    partition,
    from: first,
    to: Math.max(to, known?.to ?? to),
  }
  totals.set(key, grown)
  return grown
}

/**
 * Of files that had no marker, those that have none now, but for one range of each partition that
 * is being written: that lies behind all others.
 */
function strayOf(unnamed: readonly string[], markers: readonly RangeMarker[]): readonly string[] {
  const named = new Set(markers.flatMap(({ files }) => files.map(({ path }) => path)))
  const without = unnamed.filter((path) => !named.has(path))
  const newest = new Map<string, number>()
  for (const { topic, partition, to } of markers) grow(newest, `${topic}-${partition}`, to)
  for (const path of without) grow(newest, ...beginOf(path))
  return without.filter((path) => {
    const [place, from] = beginOf(path)
    return newest.get(place) !== from
  })
}

/** Which partition a file is of, and the offset at which its range begins. */
function beginOf(path: string): [place: string, from: number] {
  const [, place = '', from = ''] = /([^/]+-\d+)-(\d+)\.parquet$/.exec(path) ?? []
  return [place, Number(from)]
}

function grow(largest: Map<string, number>, key: string, value: number): void {
  largest.set(key, Math.max(largest.get(key) ?? value, value))
}

function placeOf({ dataset, partition }: DatasetTotals): string {
  return `${dataset} ${String(partition).padStart(6, '0')}`
}
