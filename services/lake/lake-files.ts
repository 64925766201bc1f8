import { isDeepStrictEqual } from 'node:util'
import type { RowSource } from '../formats/parquet.ts'
import {
  compactionPath,
  folderOf,
  generationOf,
  type RecordedCompaction,
  sourcesOf,
} from './compaction.ts'
import type { LakeLog } from './lake-log.ts'
import { liesBefore } from './lake-path.ts'
import type { FileEntry } from './range-marker.ts'

/** A file whose rows are those of the lake. */
export interface LiveFile extends FileEntry {
  /** Of which records; of one range, unless it is compacted. */
  readonly sources: readonly RowSource[]
  /** It is compacted, and as large as such a file may be. */
  readonly isFull: boolean
}

/** The files of a lake as its markers and compactions name them. */
export interface LakeFiles {
  readonly live: ReadonlyMap<string, LiveFile>
  /** Those whose rows are in another file now, and by which compaction. */
  readonly replaced: ReadonlyMap<string, RecordedCompaction>
  /** The last compaction of each hour's folder. */
  readonly generations: ReadonlyMap<string, number>
  /** What contradicts itself; for a person. */
  readonly faults: readonly string[]
}

/**
 * Which files hold the rows: every row in one of them, once. Of hours that had expired when, or
 * after, the log was read, nothing is said: expiry may be at work there.
 */
export function lakeFiles(
  { markers, compactions }: Omit<LakeLog, 'faults'>,
  expiredMs: number,
): LakeFiles {
  const live = new Map<string, LiveFile>()
  for (const { partition, from, to, files } of markers) {
    for (const file of files) {
      if (liesBefore(file.path, expiredMs)) continue
      const sources = [{ partition, from, to, rows: file.rows }]
      live.set(file.path, { ...file, isFull: false, sources })
    }
  }
  const replaced = new Map<string, RecordedCompaction>()
  const generations = new Map<string, number>()
  const faults: string[] = []
  for (const compaction of compactions.toSorted((a, b) => a.generation - b.generation)) {
    const { inputs, output, generation } = compaction
    if (liesBefore(output.path, expiredMs)) continue
    const folder = folderOf(output.path)
    for (const { path, sources } of inputs) {
      const file = live.get(path)
      if (!isDeepStrictEqual(file?.sources, sources)) {
        const why = file ? 'was made of other records' : 'was not of the lake any more'
        faults.push(`${compactionPath(folder, generation)}: ${path} ${why}`)
      }
      live.delete(path)
      replaced.set(path, compaction)
    }
    live.set(output.path, { ...output, isFull: compaction.isFull, sources: sourcesOf(compaction) })
    generations.set(folder, generation)
  }
  return { live, replaced, generations, faults }
}

/**
 * Whether a file that lies there was made by a compaction that another has forestalled: its number
 * is taken, so that it will never be of the lake.
 */
export function isForestalled({ live, replaced, generations }: LakeFiles, path: string): boolean {
  const generation = generationOf(path)
  if (generation === null || live.has(path) || replaced.has(path)) return false
  return generation <= (generations.get(folderOf(path)) ?? 0)
}
