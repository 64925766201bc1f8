import { LensError } from '../core/errors.ts'
import { createFileStore } from './file-store.ts'

/** Where the lake lies. Paths are relative, with `/`. All reject with LensError store_unavailable. */
export interface ObjectStore {
  /**
   * Puts an object whole or not at all, and never over one of the same name: gives the bytes of the
   * one that is there, null when there was none or it holds the same.
   */
  create(path: string, bytes: Uint8Array): Promise<Uint8Array | null>
  /** The bytes of an object; null when there is none. */
  get(path: string): Promise<Uint8Array | null>
  /** Every object whose path begins so, in any order. */
  list(prefix: string): AsyncIterable<StoredObject>
  /** Removes an object, if there is one. */
  remove(path: string): Promise<void>
  /** Which store this is, for a person; no credentials. */
  readonly describe: string
}

export interface StoredObject {
  readonly path: string
  readonly bytes: number
}

type Environment = Readonly<Record<string, string | undefined>>

const FORMS = 'file:///absolute/path, file:relative/path, a plain path, or s3://bucket/prefix'

/** Opens the store of a LAKE_URL. Throws LensError configuration_invalid on a form it is not. */
export async function openStore(url: string, env: Environment): Promise<ObjectStore> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase()
  if (scheme === undefined) {
    if (url.trim() === '') throw invalid(url, 'it is empty')
    return createFileStore(url)
  }
  if (scheme === 'file') return createFileStore(filePath(url))
  if (scheme !== 's3') throw invalid(url, `there is no store for ${scheme}:`)
  const match = /^s3:\/\/([^/]+)\/*(.*?)\/*$/i.exec(url)
  if (!match) throw invalid(url, 'it names no bucket')
  // The AWS client takes a third of a second to load, which a lake in files need not wait for.
  const { createS3Store } = await import('./s3-store.ts')
  return createS3Store({ bucket: match[1]!, prefix: match[2]!, env })
}

function filePath(url: string): string {
  const rest = url.slice('file:'.length)
  if (!rest.startsWith('//')) {
    if (rest === '') throw invalid(url, 'it names no path')
    return decode(url, rest)
  }
  // file://data/lake reads as host "data", path /lake: nobody means that.
  if (!rest.startsWith('///')) throw invalid(url, 'a host stands where the path should begin')
  return decode(url, rest.slice('//'.length))
}

function decode(url: string, path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw invalid(url, 'its % escapes are wrong')
  }
}

function invalid(url: string, why: string): LensError {
  return new LensError('configuration_invalid', `LAKE_URL ${JSON.stringify(url)}: ${why}; ${FORMS}`)
}
