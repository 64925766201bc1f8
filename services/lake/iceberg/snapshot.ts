import type { Dataset } from '../../formats/column.ts'
import { generationOf } from '../compaction.ts'
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
  /** Which lake it is: no other may write to the table. */
  readonly lake: string
  /** Reads it; called when the table has been read, so that a commit is not older than the last. */
  readonly read: () => Promise<TableContent>
  /** Opens the place that the catalog has given to a table. */
  readonly open: (location: string) => Promise<ObjectStore>
  readonly nowMs: number
  /** Snapshots that were made before are let go of. */
  readonly keepSinceMs: number
}

/** What a table shall be. */
export interface TableContent {
  /** The files that it shall have, by URL: all of them and no others. */
  readonly files: ReadonlyMap<string, LiveFile>
  /** Those whose rows are in others since. */
  readonly isReplaced: (url: string) => boolean
  /** Up to where they hold each partition of the topic. */
  readonly offsets: Readonly<Record<string, number>>
}

/** What commits have changed. */
export interface Synced {
  readonly added: number
  readonly removed: number
  /** What the table has now. */
  readonly files: number
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
/** The property of a table that says of which lake it is. */
export const LAKE = 'latency-lens.lake'

/** The URL of a data file. */
export function urlOf({ data_file }: ManifestEntry): string {
  return data_file.file_path
}

/** What changes from one snapshot to the next. */
export interface Change {
  readonly added: readonly (readonly [url: string, file: LiveFile])[]
  readonly removed: ReadonlySet<string>
  readonly operation: 'append' | 'delete' | 'replace' | 'overwrite'
}

/**
 * What is to be changed next in a table that has these files, with their rows; null when nothing
 * is. New rows go first and alone: whoever reads a table change by change passes over one that only
 * replaces files. What was compacted before the table had it comes with rows that it had.
 */
export function changeOf(
  there: ReadonlyMap<string, number>,
  { files, isReplaced }: TableContent,
): Change | null {
  const added = [...files].filter(([url]) => !there.has(url))
  const removed = new Set([...there.keys()].filter((url) => !files.has(url)))
  const fresh = added.filter(([, { path }]) => generationOf(path) === null)
  if (fresh.length > 0) return { added: fresh, removed: new Set(), operation: 'append' }
  const expired = [...removed].filter((url) => !isReplaced(url))
  if (expired.length > 0) return { added: [], removed: new Set(expired), operation: 'delete' }
  if (added.length === 0 && removed.size === 0) return null
  if (removed.size === 0) return { added, removed, operation: 'append' }
  const more = added.reduce((sum, [, { rows }]) => sum + rows, 0)
  const less = [...removed].reduce((sum, url) => sum + there.get(url)!, 0)
  return { added, removed, operation: more === less ? 'replace' : 'overwrite' }
}

/** The manifests of the next snapshot: as they are, or with what shall be written as one. */
export function partsOf(
  manifests: readonly Manifest[],
  { added, removed }: Change,
  { spec, snapshotId }: ManifestPlace,
): readonly (ManifestRef | ManifestEntry[])[] {
  const numbers = { snapshot_id: snapshotId, sequence_number: null, file_sequence_number: null }
  const fresh = added.map(([url, file]): ManifestEntry => {
    return { status: STATUS.added, ...numbers, data_file: dataFile(file, url, spec) }
  })
  const next = (entry: ManifestEntry): ManifestEntry =>
    removed.has(urlOf(entry))
      ? { ...entry, status: STATUS.deleted, snapshot_id: snapshotId }
      : { ...entry, status: STATUS.existing }
  if (manifests.length >= MANIFESTS_MAX) {
    return [[...manifests.flatMap(({ entries }) => entries.map(next)), ...fresh]]
  }
  const others = manifests.flatMap(({ ref, entries }) => {
    if (entries.length === 0) return []
    return [entries.some((entry) => removed.has(urlOf(entry))) ? entries.map(next) : ref]
  })
  return fresh.length === 0 ? others : [...others, fresh]
}

/** What a snapshot says of itself, with all that there is after it. */
export function summaryOf(
  refs: readonly ManifestRef[],
  snapshotId: number,
  { added, removed, operation }: Change,
  offsets: TableContent['offsets'],
): Snapshot['summary'] {
  const own = refs.filter((ref) => ref.added_snapshot_id === snapshotId)
  const sum = (all: readonly ManifestRef[], of: (ref: ManifestRef) => number) =>
    String(all.reduce((total, ref) => total + of(ref), 0))
  return {
    operation,
    'added-data-files': String(added.length),
    'deleted-data-files': String(removed.size),
    'added-records': sum(own, (ref) => ref.added_rows_count),
    'deleted-records': sum(own, (ref) => ref.deleted_rows_count),
    'total-data-files': sum(refs, (ref) => ref.added_files_count + ref.existing_files_count),
    'total-records': sum(refs, (ref) => ref.added_rows_count + ref.existing_rows_count),
    [OFFSETS]: JSON.stringify(offsets),
  }
}

/**
 * What makes a snapshot the current one, or when there is none to make only says how far the table
 * reaches: if it is still what was read.
 */
export function commitOf(
  { lake, keepSinceMs }: TableSync,
  offsets: TableContent['offsets'],
  table: TableMetadata,
  snapshot: Snapshot | null,
): TableCommit {
  const currentId = currentOf(table)?.['snapshot-id'] ?? null
  const old = (table.snapshots ?? []).filter((one) => one['timestamp-ms'] < keepSinceMs)
  const over = old.map((one) => one['snapshot-id']).filter((id) => id !== currentId)
  const properties = { [OFFSETS]: JSON.stringify(offsets), [LAKE]: lake, 'gc.enabled': 'false' }
  const made = snapshot && [
    { action: 'add-snapshot', snapshot },
    {
      ...{ action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch' },
      'snapshot-id': snapshot['snapshot-id'],
    },
  ]
  return {
    requirements: [
      { type: 'assert-table-uuid', uuid: table['table-uuid'] },
      { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': currentId },
    ],
    updates: [
      ...(made ?? []),
      { action: 'set-properties', updates: properties },
      // One at a time: not every catalog takes several.
      ...over.map((id) => ({ action: 'remove-snapshots', 'snapshot-ids': [id] })),
    ],
  }
}

/** The current snapshot of a table, if it has one. */
export function currentOf(table: TableMetadata): Snapshot | undefined {
  const id = table['current-snapshot-id']
  return table.snapshots?.find((one) => one['snapshot-id'] === id)
}
