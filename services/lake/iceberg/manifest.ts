import { hourOf } from '../lake-path.ts'
import { readAvroFile, writeAvroFile } from './avro-file.ts'
import type { IcebergSchema, IcebergSpec } from './schema.ts'

/** What became of a file in the snapshot that wrote its entry. */
export const STATUS = { existing: 0, added: 1, deleted: 2 } as const

/** One data file of a table (Iceberg specification, manifests, v2). */
export interface ManifestEntry {
  readonly status: number
  readonly snapshot_id: number | null
  /** Null: that of the manifest. */
  readonly sequence_number: number | null
  readonly file_sequence_number: number | null
  readonly data_file: DataFile
}

export interface DataFile {
  readonly content: number
  readonly file_path: string
  readonly file_format: string
  /** By the name of the field: hours since 1970. */
  readonly partition: Readonly<Record<string, number | null>>
  readonly record_count: number
  readonly file_size_in_bytes: number
}

/** One manifest of a snapshot (Iceberg specification, manifest lists, v2). */
export interface ManifestRef {
  readonly manifest_path: string
  readonly manifest_length: number
  readonly partition_spec_id: number
  readonly content: number
  readonly sequence_number: number
  readonly min_sequence_number: number
  readonly added_snapshot_id: number
  readonly added_files_count: number
  readonly existing_files_count: number
  readonly deleted_files_count: number
  readonly added_rows_count: number
  readonly existing_rows_count: number
  readonly deleted_rows_count: number
  readonly partitions: readonly PartitionBounds[] | null
}

interface PartitionBounds {
  readonly contains_null: boolean
  readonly contains_nan: boolean | null
  readonly lower_bound: Uint8Array | null
  readonly upper_bound: Uint8Array | null
}

/** Of which table, and in which of its snapshots. */
export interface ManifestPlace {
  readonly schema: IcebergSchema & { readonly 'schema-id': number }
  readonly spec: IcebergSpec
  readonly specId: number
  readonly snapshotId: number
  readonly sequenceNumber: number
}

type AvroField = readonly [id: number, name: string, type: unknown]

function record(name: string, fields: readonly AvroField[]): object {
  return {
    type: 'record',
    name,
    fields: fields.map(([id, field, type]) => {
      const isOptional = Array.isArray(type) && type[0] === 'null'
      const more = isOptional ? { default: null } : {}
      return { name: field, type, ...more, 'field-id': id }
    }),
  }
}

function entrySchema({ fields }: IcebergSpec): object {
  const partition = record(
    'r102',
    fields.map((field) => [field['field-id'], field.name, ['null', 'int']]),
  )
  const file = record('r2', [
    [134, 'content', 'int'],
    [100, 'file_path', 'string'],
    [101, 'file_format', 'string'],
    [102, 'partition', partition],
    [103, 'record_count', 'long'],
    [104, 'file_size_in_bytes', 'long'],
  ])
  return record('manifest_entry', [
    [0, 'status', 'int'],
    [1, 'snapshot_id', ['null', 'long']],
    [3, 'sequence_number', ['null', 'long']],
    [4, 'file_sequence_number', ['null', 'long']],
    [2, 'data_file', file],
  ])
}

const BOUNDS = record('r508', [
  [509, 'contains_null', 'boolean'],
  [518, 'contains_nan', ['null', 'boolean']],
  [510, 'lower_bound', ['null', 'bytes']],
  [511, 'upper_bound', ['null', 'bytes']],
])

const LIST = record('manifest_file', [
  [500, 'manifest_path', 'string'],
  [501, 'manifest_length', 'long'],
  [502, 'partition_spec_id', 'int'],
  [517, 'content', 'int'],
  [515, 'sequence_number', 'long'],
  [516, 'min_sequence_number', 'long'],
  [503, 'added_snapshot_id', 'long'],
  [504, 'added_files_count', 'int'],
  [505, 'existing_files_count', 'int'],
  [506, 'deleted_files_count', 'int'],
  [512, 'added_rows_count', 'long'],
  [513, 'existing_rows_count', 'long'],
  [514, 'deleted_rows_count', 'long'],
  [507, 'partitions', ['null', { type: 'array', items: BOUNDS, 'element-id': 508 }]],
])

const HOUR_MS = 3_600_000

/** A file of the lake as a table has it. */
export function dataFile(
  { path, rows, bytes }: { path: string; rows: number; bytes: number },
  url: string,
  { fields }: IcebergSpec,
): DataFile {
  return {
    content: 0,
    file_path: url,
    file_format: 'PARQUET',
    partition: { [fields[0]!.name]: hourOf(path)! / HOUR_MS },
    record_count: rows,
    file_size_in_bytes: bytes,
  }
}

/** A manifest with these entries, and what a list says of it at this path. */
export async function writeManifest(
  entries: readonly ManifestEntry[],
  path: string,
  { schema, spec, specId, snapshotId, sequenceNumber }: ManifestPlace,
): Promise<{ readonly bytes: Uint8Array; readonly ref: ManifestRef }> {
  const metadata = {
    schema: JSON.stringify(schema),
    'schema-id': String(schema['schema-id']),
    'partition-spec': JSON.stringify(spec.fields),
    'partition-spec-id': String(specId),
    'format-version': '2',
    content: 'data',
  }
  const bytes = await writeAvroFile({ schema: entrySchema(spec), metadata, rows: entries })
  const [files, rows] = [countsOf(entries, () => 1), countsOf(entries, rowsIn)]
  const sequences = entries.map((entry) => entry.sequence_number ?? sequenceNumber)
  const hours = entries.map(({ data_file }) => data_file.partition[spec.fields[0]!.name]!)
  const bounds = {
    ...{ contains_null: false, contains_nan: null },
    lower_bound: intBytes(hours.reduce((a, b) => Math.min(a, b))),
    upper_bound: intBytes(hours.reduce((a, b) => Math.max(a, b))),
  }
  const ref: ManifestRef = {
    ...{ manifest_path: path, manifest_length: bytes.length, partition_spec_id: specId },
    ...{ content: 0, sequence_number: sequenceNumber, added_snapshot_id: snapshotId },
    min_sequence_number: sequences.reduce((a, b) => Math.min(a, b)),
    ...{ added_files_count: files.added, added_rows_count: rows.added },
    ...{ existing_files_count: files.existing, existing_rows_count: rows.existing },
    ...{ deleted_files_count: files.deleted, deleted_rows_count: rows.deleted },
    partitions: [bounds],
  }
  return { bytes, ref }
}

/** A list of the manifests of a snapshot. */
export function writeManifestList(
  refs: readonly ManifestRef[],
  { snapshotId, sequenceNumber }: ManifestPlace,
  parentId: number | null,
): Promise<Uint8Array> {
  const metadata = {
    'format-version': '2',
    'snapshot-id': String(snapshotId),
    'parent-snapshot-id': String(parentId),
    'sequence-number': String(sequenceNumber),
  }
  return writeAvroFile({ schema: LIST, metadata, rows: refs })
}

/** Reads what writeManifestList wrote; rejects on anything else. */
export function readManifestList(bytes: Uint8Array): Promise<readonly ManifestRef[]> {
  return readAvroFile<ManifestRef>(bytes)
}

/** The files of a manifest that are in the table, with their numbers written out. */
export async function readManifest(
  bytes: Uint8Array,
  { sequence_number, added_snapshot_id }: ManifestRef,
): Promise<readonly ManifestEntry[]> {
  const all = await readAvroFile<ManifestEntry>(bytes)
  return all
    .filter(({ status }) => status !== STATUS.deleted)
    .map((entry) => ({
      ...entry,
      snapshot_id: entry.snapshot_id ?? added_snapshot_id,
      sequence_number: entry.sequence_number ?? sequence_number,
      file_sequence_number: entry.file_sequence_number ?? sequence_number,
    }))
}

function rowsIn({ data_file }: ManifestEntry): number {
  return data_file.record_count
}

function countsOf(entries: readonly ManifestEntry[], of: (entry: ManifestEntry) => number) {
  const sumOf = (status: number) =>
    entries.reduce((sum, entry) => (entry.status === status ? sum + of(entry) : sum), 0)
  const { added, existing, deleted } = STATUS
  return { added: sumOf(added), existing: sumOf(existing), deleted: sumOf(deleted) }
}

function intBytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}
