import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { LensError } from '../core/errors.ts'
import type { ObjectStore } from './store.ts'

/** A lake in a folder, which need not exist yet; relative to the working directory. */
export function createFileStore(folder: string): ObjectStore {
  const root = resolve(folder)
  return {
    describe: `file://${root}`,
    async put(path, bytes) {
      const target = join(root, path)
      try {
        await putFile(target, bytes)
      } catch (error) {
        throw storeError(target, error)
      }
    },
  }
}

/**
 * A reader sees the old file, the new one or none, never a part of one: the bytes are on the disk
 * before the name is, and the folder that holds the name after it, before the offset is committed.
 */
async function putFile(target: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(target)
  const made = await mkdir(folder, { recursive: true })
  // A name of its own, so that two writers of one target cannot write into one temporary file; no
  // reader's pattern takes it for a Parquet file.
  const temporary = join(folder, `.${basename(target)}.${randomUUID()}.tmp`)
  try {
    await withFile(temporary, 'wx', async (file) => {
      await file.writeFile(bytes)
      await file.sync()
    })
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  // A new folder's own name stands in the one above it.
  const top = made === undefined ? folder : dirname(made)
  for (let path = folder; ; path = dirname(path)) {
    await withFile(path, 'r', (file) => file.sync())
    if (path === top) return
  }
}

async function withFile(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags)
  try {
    await use(file)
  } finally {
    await file.close()
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  ENOTDIR: 'a file stands where a folder should be',
  EEXIST: 'a file stands where a folder should be',
  EISDIR: 'a folder stands where the file should be',
}

// A disk can be emptied or come back, and handles become free; the rest needs a person.
const RETRYABLE = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'EBUSY', 'EAGAIN'])

function storeError(target: string, error: unknown): LensError {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const why = ADVICE[code] ?? (error as Error).message
  return new LensError('store_unavailable', `cannot write ${target}: ${why}`, {
    retryable: RETRYABLE.has(code),
    cause: error,
  })
}
