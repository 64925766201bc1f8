import { randomUUID } from 'node:crypto'
import {
  access,
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { LensError } from '../core/errors.ts'
import type { ObjectStore, StoredObject } from './store.ts'

/** A lake in a folder, which need not exist yet; relative to the working directory. */
export function createFileStore(folder: string): ObjectStore {
  const root = resolve(folder)
  return {
    describe: `file://${root}`,
    async create(path, bytes) {
      const target = join(root, path)
      try {
        if (await putFile(target, bytes)) return null
        const there = await readFile(target).catch((error) => {
          if (codeOf(error) === 'ENOENT') throw removed(target)
          throw error
        })
        return there.equals(bytes) ? null : there
      } catch (error) {
        throw error instanceof LensError ? error : storeError('write', target, error)
      }
    },
    async get(path) {
      try {
        return await readFile(join(root, path))
      } catch (error) {
        if (NOT_THERE.has(codeOf(error))) return null
        throw storeError('read', join(root, path), error)
      }
    },
    async *list(prefix) {
      yield* filesBelow(root, prefix)
    },
    async remove(path) {
      try {
        await rm(join(root, path), { force: true })
      } catch (error) {
        throw storeError('remove', join(root, path), error)
      }
    },
  }
}

/**
 * Whether the file was not there before. A reader sees the whole file or none: the bytes are on the
 * disk before the name is, and the folder that holds the name after it, before the offset is
 * committed.
 */
async function putFile(target: string, bytes: Uint8Array): Promise<boolean> {
  const folder = dirname(target)
  const made = await mkdir(folder, { recursive: true })
  // A name of its own, so that two writers of one target cannot write into one temporary file; no
  // reader's pattern takes it for a Parquet file.
  const temporary = join(folder, `.${basename(target)}.${randomUUID()}${TEMPORARY}`)
  let isNew: boolean
  try {
    await withFile(temporary, 'wx', async (file) => {
      await file.writeFile(bytes)
      await file.sync()
    })
    isNew = await nameIt(temporary, target)
  } finally {
    await rm(temporary, { force: true }).catch(() => {})
  }
  // A new folder's own name stands in the one above it.
  const top = made === undefined ? folder : dirname(made)
  for (let path = folder; ; path = dirname(path)) {
    await withFile(path, 'r', (file) => file.sync())
    if (path === top) return isNew
  }
}

const TEMPORARY = '.tmp'

/** Also below what is no folder: who wants to write there is told. */
const NOT_THERE = new Set(['ENOENT', 'ENOTDIR'])

/** File systems without hard links; in a mount of another machine's folder, for example. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/** Gives the file its name unless another has it. A link, unlike a rename, replaces nothing. */
async function nameIt(temporary: string, target: string): Promise<boolean> {
  try {
    await link(temporary, target)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    if (!NO_LINKS.has(codeOf(error))) throw error
  }
  if (await isThere(target)) return false
  await rename(temporary, target)
  return true
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** A folder that is not there has no files; what is being written is none yet. */
async function* filesBelow(root: string, prefix: string): AsyncIterable<StoredObject> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch((error) => {
    if (codeOf(error) === 'ENOENT') return []
    throw storeError('list', root, error)
  })
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.endsWith(TEMPORARY)) continue
    const full = join(entry.parentPath, entry.name)
    const path = full.slice(root.length + 1)
    if (!path.startsWith(prefix)) continue
    const size = await sizeOf(full)
    if (size !== null) yield { path, bytes: size }
  }
}

/** Null when the file has gone meanwhile. */
async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw storeError('list', path, error)
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

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'this user may not do that there',
  EPERM: 'this user may not do that there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  ENOTDIR: 'a file stands where a folder should be',
  EEXIST: 'a file stands where a folder should be',
  EISDIR: 'a folder stands where the file should be',
}

// A disk can be emptied or come back, and handles become free; the rest needs a person.
const RETRYABLE = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'EBUSY', 'EAGAIN'])

function removed(target: string): LensError {
  const message = `cannot write ${target}: it was removed just now`
  return new LensError('store_unavailable', message, { retryable: true })
}

function storeError(verb: string, target: string, error: unknown): LensError {
  const why = ADVICE[codeOf(error)] ?? (error as Error).message
  return new LensError('store_unavailable', `cannot ${verb} ${target}: ${why}`, {
    retryable: RETRYABLE.has(codeOf(error)),
    cause: error,
  })
}
