import { expiredObjects, noteExpiry } from '../lake/expiry.ts'
import { readSoundLog } from '../lake/lake-log.ts'
import type { ObjectStore } from '../lake/store.ts'

const PROGRESS_FILES = 500

/** What is removed, or would be. */
export interface Removed {
  readonly files: number
  readonly bytes: number
  readonly markers: number
}

/**
 * Removes what lies in hours that ended by then; only looks at it when `isMeant` is false. Throws
 * LensError configuration_invalid when there is no marker, or one that cannot be read.
 */
export async function expireLake(
  store: ObjectStore,
  beforeMs: number,
  isMeant: boolean,
  say: (line: string) => void,
): Promise<Removed> {
  const log = await readSoundLog(store)
  const { files, compactions, markers } = await expiredObjects(store, log, beforeMs)
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  const removed = { files: files.length, bytes, markers: markers.length }
  if (!isMeant || files.length + compactions.length + markers.length === 0) return removed
  // In this order: whoever looks at it meanwhile must know why a file is not there.
  await noteExpiry(store, beforeMs)
  for (const [i, { path }] of files.entries()) {
    await store.remove(path)
    if ((i + 1) % PROGRESS_FILES === 0) say(`${i + 1} of ${files.length} files`)
  }
  for (const path of [...compactions, ...markers]) await store.remove(path)
  return removed
}
