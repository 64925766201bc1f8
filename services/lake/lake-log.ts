import { LensError } from '../core/errors.ts'
import { COMPACTIONS, type RecordedCompaction, readCompaction } from './compaction.ts'
import { MARKERS, type RangeMarker, readMarker } from './range-marker.ts'
import type { ObjectStore } from './store.ts'

/** What a lake says about itself: which ranges were written, and what was compacted since. */
export interface LakeLog {
  readonly markers: readonly RangeMarker[]
  readonly compactions: readonly RecordedCompaction[]
  /** What cannot be read; for a person. */
  readonly faults: readonly string[]
}

/** Reads all of it. Compactions first: what they name has its marker then. */
export async function readLakeLog(store: ObjectStore): Promise<LakeLog> {
  const faults: string[] = []
  const compactions = await readEach(store, COMPACTIONS, readCompaction, faults)
  const markers = await readEach(store, MARKERS, readMarker, faults)
  return { markers, compactions, faults }
}

/**
 * The same of a lake that is about to be changed. Throws LensError configuration_invalid when there
 * is no marker, or something that cannot be read.
 */
export async function readSoundLog(store: ObjectStore): Promise<LakeLog> {
  const log = await readLakeLog(store)
  const why = log.markers.length === 0 ? 'it has no range marker' : log.faults[0]
  if (why === undefined) return log
  throw new LensError('configuration_invalid', `${store.describe}: ${why}: is it the lake?`)
}

/** The compactions of one dataset, which is most of what a reader of it must know. */
export function readCompactions(
  store: ObjectStore,
  dataset: string,
): Promise<readonly RecordedCompaction[]> {
  return readEach(store, `${COMPACTIONS}${dataset}/`, readCompaction, [])
}

async function readEach<T>(
  store: ObjectStore,
  prefix: string,
  read: (bytes: Uint8Array) => T,
  faults: string[],
): Promise<T[]> {
  const all: T[] = []
  for await (const { path } of store.list(prefix)) {
    const bytes = await store.get(path)
    // Expired since it was listed.
    if (bytes === null) continue
    try {
      all.push(read(bytes))
    } catch (error) {
      faults.push(`${path}: ${(error as Error).message}`)
    }
  }
  return all
}
