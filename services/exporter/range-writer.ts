import { failpoint } from '../bus/failpoint.ts'
import { LensError } from '../core/errors.ts'
import { readOrigin } from '../formats/parquet-origin.ts'
import {
  type FileEntry,
  markerBytes,
  markerPath,
  type OffsetRange,
  type RangeMarker,
  readMarker,
  sha256Of,
} from '../lake/range-marker.ts'
import type { ObjectStore } from '../lake/store.ts'
import type { LakeFile, LakeRange } from './lake-range.ts'

/** Where the parts of a range go. */
export interface RangeSink {
  /** Whether the marker is there: the files were too, but a compaction may have replaced them. */
  isDone(range: OffsetRange): Promise<boolean>
  /** Puts a file, if it is not there, and says what is there now. */
  file(file: LakeFile, range: OffsetRange): Promise<FileEntry>
  /** Puts the marker, if it is not there. */
  marker(marker: RangeMarker): Promise<void>
}

/** Every file of a range, then its marker: behind that, the range can be committed. */
export async function writeRange(effect: LakeRange, sink: RangeSink): Promise<void> {
  const { range, cut, counts } = effect
  if (await sink.isDone(range)) return
  const files: FileEntry[] = []
  for (const file of effect.files) {
    files.push(await sink.file(file, range))
    failpoint('mid-upload')
  }
  await sink.marker({ ...range, ...cut, ...counts, files })
}

/** The bytes of a file of the lake: the same for the same rows and range, in every process. */
export type EncodeFile = (file: LakeFile, range: OffsetRange) => Promise<Uint8Array>

/**
 * Puts them into a store. What is there already stands when it is of the same range: an earlier
 * build of the writer may have made other bytes, and retention may have taken records since.
 */
export function createRangeSink(store: ObjectStore, encode: EncodeFile): RangeSink {
  return {
    async isDone(range) {
      const path = markerPath(range)
      const there = await store.get(path)
      if (there !== null) expectSame(store, path, range, readMarker(there))
      return there !== null
    },
    async file({ path, dataset, rows }, range) {
      const bytes = await encode({ path, dataset, rows }, range)
      const there = await store.create(path, bytes)
      if (there === null) return entryOf(path, dataset, rows.length, bytes)
      const { range: other, offsets } = originOf(store, path, there)
      expectSame(store, path, range, other)
      return entryOf(path, dataset, offsets.length, there)
    },
    async marker(marker) {
      const path = markerPath(marker)
      const there = await store.create(path, markerBytes(marker))
      if (there !== null) expectSame(store, path, marker, readMarker(there))
    },
  }
}

function entryOf(path: string, dataset: string, rows: number, bytes: Uint8Array): FileEntry {
  return { path, dataset, rows, bytes: bytes.length, sha256: sha256Of(bytes) }
}

function originOf(store: ObjectStore, path: string, bytes: Uint8Array) {
  try {
    return readOrigin(bytes)
  } catch (cause) {
    const message = `${store.describe}/${path} cannot be read (${(cause as Error).message}); remove it`
    throw new LensError('lake_conflict', message, { cause })
  }
}

function expectSame(store: ObjectStore, path: string, own: OffsetRange, there: OffsetRange): void {
  if (own.from === there.from && own.to === there.to) return
  const [is, ours] = [there, own].map(({ from, to }) => `[${from}, ${to})`)
  throw new LensError(
    'lake_conflict',
    `${store.describe}/${path} holds the offsets ${is} and not ${ours}: another exporter writes to this lake, or the topic was made anew. Give every topic a LAKE_URL of its own`,
  )
}
