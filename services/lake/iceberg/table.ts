import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { LensError } from '../../core/errors.ts'
import type { ObjectStore } from '../store.ts'
import type { IcebergCatalog, TableCommit, TableMetadata } from './catalog.ts'
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
  changeOf,
  commitOf,
  currentOf,
  LAKE,
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
 * Gives a table the files that it shall have, and says in each commit up to which offsets they
 * reach; does nothing when it has them. Several at a time harm nothing: a commit that finds another
 * table than it has read is made anew, and the lake is read again. Rejects with LensError
 * store_unavailable, lake_conflict when somebody else has written to the table.
 */
export async function syncTable(sync: TableSync): Promise<Synced> {
  const done = { added: 0, removed: 0 }
  for (let missed = 0; missed < ATTEMPTS; ) {
    const table = await loadTable(sync)
    const step = table && (await tryOnce(sync, table))
    if (!step) {
      missed++
      continue
    }
    done.added += step.added
    done.removed += step.removed
    if (step.isDone) return { ...done, files: step.files, rows: step.rows }
  }
  const message = `${sync.dataset.name}: others commit to its Iceberg table all the time`
  throw new LensError('store_unavailable', message, { retryable: true })
}

/** The table with our columns; null when somebody else has changed it meanwhile. */
async function loadTable({ catalog, dataset, lake }: TableSync): Promise<TableMetadata | null> {
  const { name } = dataset
  const table = (await catalog.load(name)) ?? (await catalog.create(name))
  const owner = table.properties?.[LAKE] ?? lake
  if (owner !== lake) throw notOurs(name, `it is of the lake ${owner}`)
  const schema = icebergSchema(dataset)
  const spec = icebergSpec(dataset)
  const [theirs, ours] = [idsOf(schemaOf(table).fields), idsOf(schema.fields)]
  const isNew = theirs.length === 0
  const isSpec = isDeepStrictEqual(
    specOf(table).fields.map(plainField),
    spec.fields.map(plainField),
  )
  if (!isNew && !isSpec) throw notOurs(name, 'it is parted otherwise')
  const common = Math.min(theirs.length, ours.length)
  if (!isDeepStrictEqual(theirs.slice(0, common), ours.slice(0, common))) {
    throw notOurs(name, 'its columns are others')
  }
  // A later build has appended columns: rows of this one lack them.
  if (theirs.length >= ours.length) return table
  const id = table.schemas.reduce((most, one) => Math.max(most, one['schema-id']), 0) + 1
  const specId = table['partition-specs'].reduce((most, one) => Math.max(most, one['spec-id']), 0)
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

function notOurs(name: string, why: string): LensError {
  const message = `the Iceberg table ${name} is not ours: ${why}; give --namespace another name`
  return new LensError('lake_conflict', message)
}

function plainField(field: ReturnType<typeof icebergSpec>['fields'][number]) {
  return [field.name, field.transform, field['source-id']]
}

function specOf(table: TableMetadata) {
  const id = table['default-spec-id']
  return table['partition-specs'].find((one) => one['spec-id'] === id)!
}

/** What files and readers know columns by; the order of keys is the catalog's own. */
function idsOf(fields: ReturnType<typeof icebergSchema>['fields']) {
  return fields.map(({ id, name, required, type }) => ({ id, name, required, type }))
}

function schemaOf({ schemas, ...table }: TableMetadata) {
  return schemas.find((one) => one['schema-id'] === table['current-schema-id'])!
}

interface Step extends Synced {
  /** Whether nothing is left to change. */
  readonly isDone: boolean
}

/** Makes the next change. Null when the table is not any more what it was. */
async function tryOnce(sync: TableSync, table: TableMetadata): Promise<Step | null> {
  const { catalog, dataset } = sync
  const store = await sync.open(table.location)
  const manifests = await manifestsOf(store, table, dataset.name)
  const content = await sync.read()
  const { files, offsets } = content
  const rows = [...files.values()].reduce((sum, file) => sum + file.rows, 0)
  const entries = manifests.flatMap((manifest) => manifest.entries)
  const there = new Map(entries.map((entry) => [urlOf(entry), entry.data_file.record_count]))
  const change = changeOf(there, content)
  const total = { files: files.size, rows }
  if (change === null) {
    const nothing = { ...total, added: 0, removed: 0, isDone: true }
    if (table.properties?.[OFFSETS] === JSON.stringify(offsets)) return nothing
    const isDone = await catalog.commit(dataset.name, commitOf(sync, offsets, table, null))
    return isDone ? nothing : null
  }
  const place = placeOf(table)
  const { snapshotId } = place
  const path = (name: string) => `metadata/${snapshotId}-${name}.avro`
  const refs: ManifestRef[] = []
  for (const [i, part] of partsOf(manifests, change, place).entries()) {
    if (!Array.isArray(part)) {
      refs.push(part as ManifestRef)
      continue
    }
    const { bytes, ref } = await writeManifest(part, urlIn(table, path(`m${i}`)), place)
    await store.create(path(`m${i}`), bytes)
    refs.push(ref)
  }
  const parentId = currentOf(table)?.['snapshot-id'] ?? null
  await store.create(path('list'), await writeManifestList(refs, place, parentId))
  const snapshot = {
    ...{ 'snapshot-id': snapshotId, 'sequence-number': place.sequenceNumber },
    ...(parentId !== null && { 'parent-snapshot-id': parentId }),
    'timestamp-ms': Math.max(sync.nowMs, table['last-updated-ms']),
    'manifest-list': urlIn(table, path('list')),
    'schema-id': place.schema['schema-id'],
    summary: summaryOf(refs, snapshotId, change, offsets),
  }
  const commit = commitOf(sync, offsets, table, snapshot)
  if (!(await commitOnce(catalog, dataset.name, commit, snapshotId))) return null
  return { ...total, added: change.added.length, removed: change.removed.size, isDone: false }
}

/** Whether it has landed, also when its answer does not come: then the table says so. */
async function commitOnce(
  catalog: IcebergCatalog,
  name: string,
  commit: TableCommit,
  snapshotId: number,
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
  name: string,
): Promise<readonly Manifest[]> {
  const current = currentOf(table)
  if (!current) return []
  if (current.summary[OFFSETS] === undefined)
    throw notOurs(name, 'something else has written to it')
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
  return {
    schema: schemaOf(table),
    spec: specOf(table),
    specId: table['default-spec-id'],
    snapshotId: randomInt(1, SNAPSHOT_ID_MAX),
    sequenceNumber: (table['last-sequence-number'] ?? 0) + 1,
  }
}
