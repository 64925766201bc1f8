import { LensError } from '../core/errors.ts'
import { datasetNamed } from '../formats/datasets.ts'
import { mergeParquet } from '../formats/merge-parquet.ts'
import { parquetStream } from '../formats/parquet.ts'
import {
  type Compaction,
  compactionBytes,
  compactionPath,
  folderOf,
  outputPath,
  readCompaction,
  sourcesOf,
} from '../lake/compaction.ts'
import { expiredBefore } from '../lake/expiry.ts'
import { isForestalled, type LakeFiles, type LiveFile, lakeFiles } from '../lake/lake-files.ts'
import { type LakeLog, readSoundLog } from '../lake/lake-log.ts'
import { liesBefore } from '../lake/lake-path.ts'
import { sha256Of } from '../lake/range-marker.ts'
import type { ObjectStore } from '../lake/store.ts'

export interface CompactOptions {
  /** Only hours that ended by then. */
  readonly closedMs: number
  /** What was replaced by then is removed. */
  readonly removeMs: number
  readonly nowMs: number
}

/** What was done. */
export interface Compacted {
  readonly inputs: number
  readonly outputs: number
  readonly rows: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly removed: number
}

/** What one file holds at most; decoded, since that is what lies in memory, several times over. */
const ROWS_MAX = 500_000
const BYTES_MAX = 64 * 1024 * 1024
const DECODED_MAX = 128 * 1024 * 1024

/**
 * Writes small files of closed hours as few sorted ones, and removes what these replace. What is
 * broken off, the next one finishes, and two at a time harm nothing. Throws LensError
 * configuration_invalid on what is not a sound lake.
 */
export async function compactLake(
  store: ObjectStore,
  { closedMs, removeMs, nowMs }: CompactOptions,
  say: (line: string) => void,
): Promise<Compacted> {
  const { markers, compactions: before } = await readSoundLog(store)
  const compactions = [...before]
  const expiredMs = await expiredBefore(store)
  const files = soundFiles(store, { markers, compactions }, expiredMs)
  const done = { inputs: 0, outputs: 0, rows: 0, bytesBefore: 0, bytesAfter: 0 }
  const byFolder = Map.groupBy(files.live.values(), ({ path }) => folderOf(path))
  for (const [folder, own] of [...byFolder].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!liesBefore(own[0]!.path, closedMs)) continue
    let generation = files.generations.get(folder) ?? 0
    for (let left = groupsOf(own); left.length > 0; ) {
      const [group, ...others] = left
      const { taken, rest } = await takeSome(store, group!)
      left = rest.length > 1 ? [rest, ...others] : others
      if (taken.length < 2) continue
      const made = await compact(store, { taken, isFull: rest.length > 0 }, ++generation, nowMs)
      if (made === null) {
        say(`${folder}: another compaction is at work there`)
        break
      }
      compactions.push({ ...made, generation })
      const { rows, bytes } = made.output
      const bytesBefore = taken.reduce((sum, { file }) => sum + file.bytes, 0)
      done.inputs += taken.length
      done.outputs++
      done.rows += rows
      done.bytesBefore += bytesBefore
      done.bytesAfter += bytes
      say(`${folder}: ${taken.length} files of ${bytesBefore} bytes are one of ${bytes} bytes`)
    }
  }
  const now = soundFiles(store, { markers, compactions }, expiredMs)
  return { ...done, removed: await removeOver(store, now, removeMs) }
}

function soundFiles(
  store: ObjectStore,
  log: Omit<LakeLog, 'faults'>,
  expiredMs: number,
): LakeFiles {
  const files = lakeFiles(log, expiredMs)
  if (files.faults.length === 0) return files
  const message = `${store.describe}: ${files.faults[0]}; lens lake verify says more`
  throw new LensError('configuration_invalid', message)
}

/** Files of an hour that may become one: those that are not large already, in the log's order. */
function groupsOf(files: readonly LiveFile[]): readonly (readonly LiveFile[])[] {
  const small = files.filter(({ rows, bytes, isFull }) => {
    return !isFull && rows < ROWS_MAX / 2 && bytes < BYTES_MAX / 2
  })
  const groups: LiveFile[][] = []
  let sum = { rows: ROWS_MAX, bytes: BYTES_MAX }
  for (const file of small.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    sum = { rows: sum.rows + file.rows, bytes: sum.bytes + file.bytes }
    if (sum.rows > ROWS_MAX || sum.bytes > BYTES_MAX) {
      groups.push([])
      sum = file
    }
    groups.at(-1)!.push(file)
  }
  return groups.filter(({ length }) => length > 1)
}

/** A file and what it holds, decoded. */
interface Taken {
  readonly file: LiveFile
  readonly stream: Uint8Array
}

/** As many of a group as memory may be given to; none when one of them is not there any more. */
async function takeSome(store: ObjectStore, group: readonly LiveFile[]) {
  const taken: Taken[] = []
  let decoded = 0
  for (const [i, file] of group.entries()) {
    const bytes = await store.get(file.path)
    // Somebody else has compacted it, or it has expired.
    if (bytes === null) return { taken: [], rest: [] }
    if (sha256Of(bytes) !== file.sha256) throw notPut(store, file.path)
    const stream = parquetStream(bytes)
    decoded += stream.length
    if (taken.length > 0 && decoded > DECODED_MAX) return { taken, rest: group.slice(i) }
    taken.push({ file, stream })
  }
  return { taken, rest: [] }
}

/**
 * Makes one file of several. It becomes of the lake, and they cease to be, when the record is
 * created: in one step, and only if it is the next of its hour. Null when it is not.
 */
async function compact(
  store: ObjectStore,
  { taken, isFull }: { readonly taken: readonly Taken[]; readonly isFull: boolean },
  generation: number,
  atMs: number,
): Promise<Compaction | null> {
  const inputs = taken.map(({ file: { path, sources } }) => ({ path, sources }))
  const sources = sourcesOf({ inputs })
  const { path: first, dataset } = taken[0]!.file
  const folder = folderOf(first)
  const path = outputPath(folder, generation, inputs)
  const streams = taken.map(({ stream }) => stream)
  const made = mergeParquet(datasetNamed(dataset), streams, sources)
  // Another build may have made other bytes of the same rows: those stand.
  const bytes = (await store.create(path, made)) ?? made
  const rows = sources.reduce((sum, source) => sum + source.rows, 0)
  const output = { path, dataset, rows, bytes: bytes.length, sha256: sha256Of(bytes) }
  const compaction = { inputs, output, isFull, atMs }
  const record = compactionPath(folder, generation)
  const there = await store.create(record, compactionBytes(compaction))
  if (there === null || readCompaction(there).output.path === path) return compaction
  await store.remove(path)
  return null
}

/** Removes the files that compactions have replaced, and what one of two that met has left. */
async function removeOver(store: ObjectStore, files: LakeFiles, removeMs: number): Promise<number> {
  const over: string[] = []
  for await (const { path } of store.list('')) {
    const by = files.replaced.get(path)
    if (by ? by.atMs <= removeMs : isForestalled(files, path)) over.push(path)
  }
  for (const path of over) await store.remove(path)
  return over.length
}

function notPut(store: ObjectStore, path: string): LensError {
  const message = `${store.describe}/${path} has other bytes than were put: lens lake verify`
  return new LensError('configuration_invalid', message)
}
