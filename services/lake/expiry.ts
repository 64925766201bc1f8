import { compactionPath, folderOf } from './compaction.ts'
import type { LakeLog } from './lake-log.ts'
import { liesBefore } from './lake-path.ts'
import { markerPath, type RangeMarker } from './range-marker.ts'
import type { ObjectStore } from './store.ts'

const EXPIRED = '_expired/'

/** Says that files of hours that ended by then may be gone: before the first of them is. */
export async function noteExpiry(store: ObjectStore, beforeMs: number): Promise<void> {
  const name = new Date(beforeMs).toISOString().replaceAll(':', '-')
  await store.create(`${EXPIRED}${name}.json`, Buffer.from(`{"beforeMs":${beforeMs}}\n`))
}

/** The latest that noteExpiry has said; -Infinity when nothing has expired. */
export async function expiredBefore(store: ObjectStore): Promise<number> {
  let latest = Number.NEGATIVE_INFINITY
  for await (const { path } of store.list(EXPIRED)) {
    const bytes = await store.get(path)
    if (bytes) latest = Math.max(latest, JSON.parse(Buffer.from(bytes).toString()).beforeMs)
  }
  return latest
}

/** What there is to remove. */
export interface Expired {
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  /** Records of compactions of hours that are gone: the last of an hour first. */
  readonly compactions: readonly string[]
  /** Markers of ranges of which nothing is left; the last of a partition is none of them. */
  readonly markers: readonly string[]
}

/** What has expired by then. The markers that stay still tile their logs. */
export async function expiredObjects(
  store: ObjectStore,
  { markers, compactions }: Omit<LakeLog, 'faults'>,
  beforeMs: number,
): Promise<Expired> {
  const files = []
  for await (const object of store.list('')) {
    if (liesBefore(object.path, beforeMs)) files.push(object)
  }
  const byPartition = Map.groupBy(markers, ({ topic, partition }) => `${topic}-${partition}`)
  const over = [...byPartition.values()].flatMap((own) => overOf(own, beforeMs))
  const past = compactions.filter(({ output }) => liesBefore(output.path, beforeMs))
  const paths = past
    .toSorted((a, b) => b.generation - a.generation)
    .map(({ output, generation }) => compactionPath(folderOf(output.path), generation))
  return { files, compactions: paths, markers: over.map(markerPath) }
}

/** From the first marker to the last that had files, as long as all of them have expired. */
function overOf(own: readonly RangeMarker[], beforeMs: number): readonly RangeMarker[] {
  const ordered = own.toSorted((a, b) => a.from - b.from)
  const isLeft = ({ files }: RangeMarker) => files.some(({ path }) => !liesBefore(path, beforeMs))
  const left = ordered.findIndex(isLeft)
  const begin = left < 0 ? ordered : ordered.slice(0, left)
  // One without files says nothing of its time: it goes with what comes behind it. The last one
  // stays: it says how far the log has been written.
  const over = begin.findLastIndex(({ files }) => files.length > 0) + 1
  return begin.slice(0, Math.min(over, ordered.length - 1))
}
