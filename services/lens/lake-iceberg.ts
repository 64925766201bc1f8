import type { Dataset } from '../formats/column.ts'
import { DATASETS } from '../formats/datasets.ts'
import { expiredBefore } from '../lake/expiry.ts'
import type { IcebergCatalog } from '../lake/iceberg/catalog.ts'
import type { TableContent } from '../lake/iceberg/snapshot.ts'
import { syncTable } from '../lake/iceberg/table.ts'
import { lakeFiles } from '../lake/lake-files.ts'
import { createKnownLog, type KnownLog, readSoundLog } from '../lake/lake-log.ts'
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
  const { markers } = await readSoundLog(store, known)
  for (const dataset of DATASETS) {
    if (!markers.some(({ topic }) => topic === dataset.topic)) continue
    const read = () => contentOf(store, dataset, known)
    const one = { ...sync, dataset, lake: store.describe, read }
    const { added, removed, files, rows } = await syncTable(one)
    if (added + removed === 0) continue
    say(`${dataset.name}: ${added} files more, ${removed} less: ${files} files, ${rows} rows`)
  }
}

/** What the table of a dataset shall be by what the lake is now. */
async function contentOf(
  store: ObjectStore,
  { name, topic }: Dataset,
  known: KnownLog,
): Promise<TableContent> {
  const log = await readSoundLog(store, known)
  const { live, replaced } = lakeFiles(log, await expiredBefore(store))
  const root = `${store.describe.replace(/\/+$/, '')}/`
  const own = [...live.values()].filter((file) => file.dataset === name)
  return {
    files: new Map(own.map((file) => [root + file.path, file])),
    isReplaced: (url) => replaced.has(url.slice(root.length)),
    offsets: offsetsOf(log.markers, topic),
  }
}

/** Up to where the ranges of each partition reach. */
function offsetsOf(markers: readonly RangeMarker[], topic: string): Record<string, number> {
  const ends = new Map<number, number>()
  for (const { partition, to, ...marker } of markers) {
    if (marker.topic === topic) ends.set(partition, Math.max(ends.get(partition) ?? 0, to))
  }
  return Object.fromEntries([...ends].sort(([a], [b]) => a - b))
}
