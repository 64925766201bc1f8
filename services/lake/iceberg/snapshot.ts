import type { Dataset } from '../../formats/column.ts'
import type { LiveFile } from '../lake-files.ts'
import type { ObjectStore } from '../store.ts'
import type { IcebergCatalog, Snapshot, TableCommit, TableMetadata } from './catalog.ts'
import {
  dataFile,
  type ManifestEntry,
  type ManifestPlace,
  type ManifestRef,
  STATUS,
} from './manifest.ts'

export interface TableSync {
  readonly catalog: IcebergCatalog
  readonly dataset: Dataset
  /** The files that the table shall have, by URL: all of them and no others. */
  readonly files: ReadonlyMap<string, LiveFile>
  /** Up to where they hold each partition of the topic. */
  readonly offsets: Readonly<Record<string, number>>
  /** Opens the place that the catalog has given to a table. */
  readonly open: (location: string) => Promise<ObjectStore>
  readonly nowMs: number
  /** Snapshots that were made before are let go of. */
  readonly keepSinceMs: number
}

/** What a commit has changed. */
export interface Synced {
  readonly added: number
  readonly removed: number
  readonly rows: number
}

/** A manifest and the files of it that are in the table. */
export interface Manifest {
  readonly ref: ManifestRef
  readonly entries: readonly ManifestEntry[]
}

/** Beyond these, all entries go into one manifest. */
const MANIFESTS_MAX = 50

/** The property of a table, and of each snapshot of ours, that says up to where it is complete. */
export const OFFSETS = 'latency-lens.offsets'

/** The URL of a data file. */
export function urlOf({ data_file }: ManifestEntry): string {
  return data_file.file_path
}

/** The manifests of the next snapshot: as they are, or with what shall be written as one. */
export function partsOf(
  manifests: readonly Manifest[],
  added: readonly (readonly [string, LiveFile])[],
  files: TableSync['files'],
  { spec, snapshotId }: ManifestPlace,
): readonly (ManifestRef | ManifestEntry[])[] {
  const numbers = { snapshot_id: snapshotId, sequence_number: null, file_sequence_number: null }
  const fresh = added.map(([url, file]): ManifestEntry => {
    return { status: STATUS.added, ...numbers, data_file: dataFile(file, url, spec) }
  })
  const next = (entry: ManifestEntry): ManifestEntry =>
    files.has(urlOf(entry))
      ? { ...entry, status: STATUS.existing }
      : { ...entry, status: STATUS.deleted, snapshot_id: snapshotId }
  if (manifests.length >= MANIFESTS_MAX) {
    return [[...manifests.flatMap(({ entries }) => entries.map(next)), ...fresh]]
  }
  const others = manifests.flatMap(({ ref, entries }) => {
    if (entries.length === 0) return []
    return [entries.every((entry) => files.has(urlOf(entry))) ? ref : entries.map(next)]
  })
  return fresh.length === 0 ? others : [...others, fresh]
}

/** What a snapshot says of itself. */
export function summaryOf(
  { files, offsets }: TableSync,
  refs: readonly ManifestRef[],
  snapshotId: number,
  { added, removed, rows }: Synced,
): Snapshot['summary'] {
  const own = refs.filter((ref) => ref.added_snapshot_id === snapshotId)
  const sum = (of: (ref: ManifestRef) => number) => own.reduce((all, ref) => all + of(ref), 0)
  const addedRows = sum((ref) => ref.added_rows_count)
  const deletedRows = sum((ref) => ref.deleted_rows_count)
  const changed = addedRows === deletedRows ? 'replace' : 'overwrite'
  return {
    operation: removed === 0 ? 'append' : added === 0 ? 'delete' : changed,
    'added-data-files': String(added),
    'deleted-data-files': String(removed),
    'added-records': String(addedRows),
    'deleted-records': String(deletedRows),
    'total-data-files': String(files.size),
    'total-records': String(rows),
    [OFFSETS]: JSON.stringify(offsets),
  }
}

/** Makes a snapshot the current one, if the table is still what was read. */
export function commitOf(
  { offsets, keepSinceMs }: TableSync,
  table: TableMetadata,
  snapshot: Snapshot,
) {
  const parentId = snapshot['parent-snapshot-id'] ?? null
  const old = (table.snapshots ?? []).filter((one) => one['timestamp-ms'] < keepSinceMs)
  const over = old.map((one) => one['snapshot-id']).filter((id) => id !== parentId)
  const snapshotId = snapshot['snapshot-id']
  const main = { 'ref-name': 'main', type: 'branch', 'snapshot-id': snapshotId }
  const commit: TableCommit = {
    requirements: [
      { type: 'assert-table-uuid', uuid: table['table-uuid'] },
      { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': parentId },
    ],
    updates: [
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', ...main },
      { action: 'set-properties', updates: { [OFFSETS]: JSON.stringify(offsets) } },
      ...(over.length === 0 ? [] : [{ action: 'remove-snapshots', 'snapshot-ids': over }]),
    ],
  }
  return { commit, snapshotId }
}
