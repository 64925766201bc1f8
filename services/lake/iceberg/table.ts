import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { LensError } from '../../core/errors.ts'
import type { ObjectStore } from '../store.ts'
import type { IcebergCatalog, Snapshot, TableCommit, TableMetadata } from './catalog.ts'
import {
  type ManifestPlace,
  type ManifestRef,
  readManifest,
  readManifestList,
  writeManifest,
  writeManifestList,
} from './manifest.ts'
import { icebergSchema, icebergSpec, lastColumnId } from './schema.ts'
import {
  commitOf,
  type Manifest,
  OFFSETS,
  partsOf,
  type Synced,
  summaryOf,
  type TableSync,
  urlOf,
} from './snapshot.ts'

const ATTEMPTS = 5
const SNAPSHOT_ID_MAX = 2 ** 48 - 1

/**
 * Gives a table the files that it shall have, in one commit, with the offsets that they reach; does
 * nothing when it has them. Several at a time harm nothing: a commit that finds another table than
 * it has read is made anew. Rejects with LensError store_unavailable, lake_conflict when somebody
 * else has written to the table.
 */
export async function syncTable(sync: TableSync): Promise<Synced> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const table = await loadTable(sync)
    const synced = table && (await tryOnce(sync, table))
    if (synced) return synced
  }
  const message = `${sync.dataset.name}: others commit to its Iceberg table all the time`
  throw new LensError('store_unavailable', message, { retryable: true })
}

/** The table with our columns; null when somebody else has changed it meanwhile. */
async function loadTable({ catalog, dataset }: TableSync): Promise<TableMetadata | null> {
  const { name } = dataset
  const table = (await catalog.load(name)) ?? (await catalog.create(name))
  const [schema, spec] = [icebergSchema(dataset), icebergSpec(dataset)]
  const { fields } = schemaOf(table)
  if (isDeepStrictEqual(idsOf(fields), idsOf(schema.fields))) return table
  const id = table.schemas.reduce((most, one) => Math.max(most, one['schema-id']), 0) + 1
  const specId = table['partition-specs'].reduce((most, one) => Math.max(most, one['spec-id']), 0)
  const isNew = fields.length === 0
  // A catalog that makes a table numbers its columns anew; one that is given a schema does not.
  const commit: TableCommit = {
    requirements: [
      { type: 'assert-table-uuid', uuid: table['table-uuid'] },
      { type: 'assert-current-schema-id', 'current-schema-id': table['current-schema-id'] },
    ],
    updates: [
      {
        ...{ action: 'add-schema', schema: { ...schema, 'schema-id': id } },
        'last-column-id': lastColumnId(dataset),
      },
      { action: 'set-current-schema', 'schema-id': -1 },
      ...(isNew ? [{ action: 'add-spec', spec: { ...spec, 'spec-id': specId + 1 } }] : []),
      ...(isNew ? [{ action: 'set-default-spec', 'spec-id': -1 }] : []),
    ],
  }
  return (await catalog.commit(name, commit)) ? catalog.load(name) : null
}

/** What files and readers know columns by; the order of keys is the catalog's own. */
function idsOf(fields: ReturnType<typeof icebergSchema>['fields']) {
  return fields.map(({ id, name, required, type }) => ({ id, name, required, type }))
}

function schemaOf({ schemas, ...table }: TableMetadata) {
  return schemas.find((one) => one['schema-id'] === table['current-schema-id'])!
}

function currentOf(table: TableMetadata): Snapshot | undefined {
  const id = table['current-snapshot-id']
  return table.snapshots?.find((one) => one['snapshot-id'] === id)
}

/** Null when the table is not any more what it was. */
async function tryOnce(sync: TableSync, table: TableMetadata): Promise<Synced | null> {
  const { catalog, dataset, files } = sync
  const store = await sync.open(table.location)
  const parent = currentOf(table)
  const manifests = await manifestsOf(store, table, parent, dataset.name)
  const there = new Set(manifests.flatMap(({ entries }) => entries.map(urlOf)))
  const added = [...files].filter(([url]) => !there.has(url))
  const removed = [...there].filter((url) => !files.has(url))
  const rows = [...files.values()].reduce((sum, file) => sum + file.rows, 0)
  const synced = { added: added.length, removed: removed.length, rows }
  if (added.length + removed.length === 0) return synced
  const place = placeOf(table)
  const { snapshotId } = place
  const path = (name: string) => `metadata/${snapshotId}-${name}.avro`
  const refs: ManifestRef[] = []
  for (const [i, part] of partsOf(manifests, added, files, place).entries()) {
    if (!Array.isArray(part)) {
      refs.push(part as ManifestRef)
      continue
    }
    const url = urlIn(table, path(`m${i}`))
    const { bytes, ref } = await writeManifest(part, url, place)
    await store.create(path(`m${i}`), bytes)
    refs.push(ref)
  }
  const list = await writeManifestList(refs, place, parent?.['snapshot-id'] ?? null)
  await store.create(path('list'), list)
  const snapshot = {
    ...{ 'snapshot-id': snapshotId, 'sequence-number': place.sequenceNumber },
    ...(parent && { 'parent-snapshot-id': parent['snapshot-id'] }),
    'timestamp-ms': Math.max(sync.nowMs, table['last-updated-ms']),
    'manifest-list': urlIn(table, path('list')),
    'schema-id': place.schema['schema-id'],
    summary: summaryOf(sync, refs, snapshotId, synced),
  }
  const isDone = await commitOnce(catalog, dataset.name, commitOf(sync, table, snapshot))
  return isDone ? synced : null
}

/** The same, when an answer does not come: then the table says whether it has landed. */
async function commitOnce(
  catalog: IcebergCatalog,
  name: string,
  { commit, snapshotId }: { commit: TableCommit; snapshotId: number },
): Promise<boolean> {
  try {
    return await catalog.commit(name, commit)
  } catch (error) {
    const table = await catalog.load(name)
    if (table?.snapshots?.some((one) => one['snapshot-id'] === snapshotId)) return true
    throw error
  }
}

async function manifestsOf(
  store: ObjectStore,
  table: TableMetadata,
  current: Snapshot | undefined,
  name: string,
): Promise<readonly Manifest[]> {
  if (!current) return []
  if (current.summary[OFFSETS] === undefined) {
    const message = `something else has written to the Iceberg table ${name}: it can only be ours`
    throw new LensError('lake_conflict', message)
  }
  const refs = await readManifestList(await bytesAt(store, table, current['manifest-list']))
  const manifests: Manifest[] = []
  for (const ref of refs) {
    const bytes = await bytesAt(store, table, ref.manifest_path)
    manifests.push({ ref, entries: await readManifest(bytes, ref) })
  }
  return manifests
}

async function bytesAt(store: ObjectStore, table: TableMetadata, url: string) {
  const bytes = await store.get(url.slice(urlIn(table, '').length))
  if (bytes !== null) return bytes
  throw new LensError('store_unavailable', `${url} of an Iceberg table is not there`)
}

function urlIn({ location }: TableMetadata, path: string): string {
  return `${location.replace(/\/+$/, '')}/${path}`
}

function placeOf(table: TableMetadata): ManifestPlace {
  const specId = table['default-spec-id']
  return {
    schema: schemaOf(table),
    spec: table['partition-specs'].find((one) => one['spec-id'] === specId)!,
    specId,
    snapshotId: randomInt(1, SNAPSHOT_ID_MAX),
    sequenceNumber: (table['last-sequence-number'] ?? 0) + 1,
  }
}
