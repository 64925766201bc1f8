import { chunksOf } from '../core/chunks.ts'
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

/** What has been read of a lake: its objects never change. */
export interface KnownLog {
  readonly markers: Map<string, RangeMarker>
  readonly compactions: Map<string, RecordedCompaction>
}

/** Nothing is known. */
export function createKnownLog(): KnownLog {
  return { markers: new Map(), compactions: new Map() }
}

/**
 * Reads all of it but for what is known. Compactions first: what they name has its marker then.
 */
export async function readLakeLog(store: ObjectStore, known = createKnownLog()): Promise<LakeLog> {
  const faults: string[] = []
  await readEach(store, COMPACTIONS, readCompaction, known.compactions, faults)
  await readEach(store, MARKERS, readMarker, known.markers, faults)
  const markers = [...known.markers.values()]
  return { markers, compactions: [...known.compactions.values()], faults }
}

/**
 * The same of a lake that is about to be changed. Throws LensError configuration_invalid when there
 * is no marker, or something that cannot be read.
 */
export async function readSoundLog(store: ObjectStore, known = createKnownLog()): Promise<LakeLog> {
  const log = await readLakeLog(store, known)
  const why = log.markers.length === 0 ? 'it has no range marker yet' : log.faults[0]
  if (why === undefined) return log
  throw new LensError('configuration_invalid', `${store.describe}: ${why}: is it the lake?`)
}

/** The compactions of one dataset, which is most of what a reader of it must know. */
export async function readCompactions(
  store: ObjectStore,
  dataset: string,
  known = new Map<string, RecordedCompaction>(),
): Promise<readonly RecordedCompaction[]> {
  await readEach(store, `${COMPACTIONS}${dataset}/`, readCompaction, known, [])
  return [...known.values()]
}

/** Makes `known` what there is now, by path. */
async function readEach<T>(
  store: ObjectStore,
  prefix: string,
  read: (bytes: Uint8Array) => T,
  known: Map<string, T>,
  faults: string[],
): Promise<void> {
  const gone = new Set(known.keys())
  const fresh: string[] = []
  for await (const { path } of store.list(prefix)) if (!gone.delete(path)) fresh.push(path)
  for (const path of gone) known.delete(path)
  for (const some of chunksOf(fresh, GETS_AT_ONCE)) {
    const all = await Promise.all(some.map((path) => store.get(path)))
    for (const [i, bytes] of all.entries()) {
      // Expired since it was listed.
      if (bytes === null) continue
      try {
        known.set(some[i]!, read(bytes))
      } catch (error) {
        faults.push(`${some[i]}: ${(error as Error).message}`)
      }
    }
  }
}

const GETS_AT_ONCE = 16
