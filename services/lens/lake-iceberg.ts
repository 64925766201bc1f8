import { DATASETS } from '../formats/datasets.ts'
import { expiredBefore } from '../lake/expiry.ts'
import type { IcebergCatalog } from '../lake/iceberg/catalog.ts'
import { syncTable } from '../lake/iceberg/table.ts'
import { type LakeFiles, type LiveFile, lakeFiles } from '../lake/lake-files.ts'
import { createKnownLog, type KnownLog, readSoundLog } from '../lake/lake-log.ts'
import { liesBefore } from '../lake/lake-path.ts'
import type { RangeMarker } from '../lake/range-marker.ts'
import type { ObjectStore } from '../lake/store.ts'

export interface TablesSync {
  readonly store: ObjectStore
  readonly catalog: IcebergCatalog
  readonly open: (location: string) => Promise<ObjectStore>
  readonly nowMs: number
  readonly keepSinceMs: number
  /** What earlier calls have read of the lake. */
  readonly known?: KnownLog
}

/**
 * Gives the table of each dataset the files that the lake has now. Throws LensError
 * configuration_invalid on what is not a sound lake, and as syncTable does.
 */
export async function syncTables(
  { store, known = createKnownLog(), ...sync }: TablesSync,
  say: (line: string) => void,
): Promise<void> {
  const log = await readSoundLog(store, known)
  const files = lakeFiles(log)
  const expiredMs = await expiredBefore(store)
  for (const dataset of DATASETS) {
    const own = filesOf(store, files, dataset.name, expiredMs)
    const offsets = offsetsOf(log.markers, dataset.topic)
    if (Object.keys(offsets).length === 0) continue
    const { added, removed, rows } = await syncTable({ ...sync, dataset, files: own, offsets })
    if (added + removed === 0) continue
    say(`${dataset.name}: ${added} files more, ${removed} less: ${own.size} files, ${rows} rows`)
  }
}

function filesOf(
  { describe }: ObjectStore,
  { live }: LakeFiles,
  dataset: string,
  expiredMs: number,
): ReadonlyMap<string, LiveFile> {
  const root = describe.replace(/\/+$/, '')
  const own = [...live.values()].filter((file) => {
    return file.dataset === dataset && !liesBefore(file.path, expiredMs)
  })
  return new Map(own.map((file) => [`${root}/${file.path}`, file]))
}

/** Up to where the ranges of each partition reach. */
function offsetsOf(markers: readonly RangeMarker[], topic: string): Record<string, number> {
  const ends = new Map<number, number>()
  for (const { partition, to, ...marker } of markers) {
    if (marker.topic === topic) ends.set(partition, Math.max(ends.get(partition) ?? 0, to))
  }
  return Object.fromEntries([...ends].sort(([a], [b]) => a - b))
}
