import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { LensError } from '../core/errors.ts'

/** The tables of a new file, and the number that tells them from later ones. */
export interface SpoolSchema {
  readonly version: number
  readonly pageBytes: number
  readonly sql: string
}

/** An open spool file that is ours alone until it is closed or the process has ended. */
export interface SpoolFile {
  readonly path: string
  readonly database: DatabaseSync
  /** Files that could not be used and were renamed: 0 or 1. */
  readonly setAside: number
}

const NAME = 'spool.sqlite'

/** `LENS`, in the header of the file: tells our file from a foreign one. */
const APPLICATION_ID = 0x4c45_4e53

/** Result codes of SQLite, without their extensions. */
const BUSY = 5
const CORRUPT = 11
const NOT_A_DATABASE = 26

/** A checkpoint waits for the disk, 10 ms or more: few of them, but bounded. */
const CHECKPOINT_BYTES = 4 << 20

/**
 * Opens the spool of a folder, which is made if need be. A damaged or foreign file is renamed and a
 * new one begun. Throws LensError configuration_invalid when somebody else has the spool or when
 * the folder cannot be written.
 */
export function openSpoolFile(
  folder: string,
  schema: SpoolSchema,
  log: (line: string) => void,
): SpoolFile {
  const path = join(resolve(folder), NAME)
  try {
    mkdirSync(folder, { recursive: true })
    try {
      return { path, database: open(path, schema), setAside: 0 }
    } catch (error) {
      if (!isUnusable(error)) throw error
      const aside = rename(path)
      log(`the spool ${path} cannot be used (${said(error)}); it is now ${aside}`)
      return { path, database: open(path, schema), setAside: 1 }
    }
  } catch (cause) {
    throw new LensError('configuration_invalid', advice(path, cause), { cause })
  }
}

/** Checks the whole file now: damage found later would hold a partition up. */
function open(path: string, schema: SpoolSchema): DatabaseSync {
  const { DatabaseSync } = withoutWarning(() => process.getBuiltinModule('node:sqlite'))
  const database = new DatabaseSync(path)
  try {
    // The lock is the kernel's, so a killed process leaves none behind.
    database.exec(`PRAGMA page_size = ${schema.pageBytes};
      PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT`)
    const empty = pragma(database, 'schema_version') === 0
    if (!empty) checkOwner(database, schema)
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_BYTES / schema.pageBytes}`)
    if (empty) {
      database.exec(`BEGIN; ${schema.sql}; PRAGMA application_id = ${APPLICATION_ID};
        PRAGMA user_version = ${schema.version}; COMMIT`)
    }
    const finding = pragma(database, 'quick_check')
    if (finding !== 'ok') throw new Unusable(String(finding))
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Before anything is written to a file that may be another program's. */
function checkOwner(database: DatabaseSync, { version }: SpoolSchema): void {
  const ours = pragma(database, 'application_id') === APPLICATION_ID
  if (!ours || pragma(database, 'user_version') !== version) {
    throw new Unusable(`it is no spool of version ${version}`)
  }
}

/** A file that holds no spool, or no longer one. */
class Unusable extends Error {}

/** The first value that a pragma gives. */
function pragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name]
}

function isUnusable(error: unknown): boolean {
  const code = resultCode(error)
  return error instanceof Unusable || code === CORRUPT || code === NOT_A_DATABASE
}

function resultCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff
}

/** Renames the file and its log to the first name that is free; returns the name. */
function rename(path: string): string {
  let aside = ''
  for (let n = 1; aside === '' || existsSync(aside); n++) aside = `${path}.damaged-${n}`
  renameSync(path, aside)
  if (existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${aside}-wal`)
  return aside
}

function advice(path: string, cause: unknown): string {
  return resultCode(cause) === BUSY
    ? `the spool ${path} is in use by another process; give each collector a --spool of its own`
    : `cannot open the spool ${path}: ${said(cause)}; --spool names a folder that we can write`
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Early releases of Node 24 call SQLite experimental: nothing that our user can act upon. */
function withoutWarning<T>(load: () => T): T {
  const { emitWarning } = process
  process.emitWarning = ((warning: string | Error, ...rest: never[]) => {
    if (!String(warning).startsWith('SQLite is an experimental')) emitWarning(warning, ...rest)
  }) as typeof process.emitWarning
  try {
    return load()
  } finally {
    process.emitWarning = emitWarning
  }
}
