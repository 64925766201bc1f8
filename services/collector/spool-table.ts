import type { DatabaseSync } from 'node:sqlite'
import type { NewRecord } from '../bus/port.ts'
import type { SpoolSchema } from './spool-file.ts'

/** A record with its place in the order of all that a collector ever took. */
export interface Numbered extends NewRecord {
  readonly seq: number
}

export interface PlaceRow {
  readonly id: number
  readonly topic: string
  readonly partition: number
  readonly begun: number
}

/** What is done to the two tables; everything may throw what SQLite throws. */
export interface SpoolTable {
  places(): readonly PlaceRow[]
  addPlace(topic: string, partition: number): number
  sizes(place: number): Iterable<{ readonly seq: number; readonly size: number }>
  add(place: number, record: Numbered): void
  oldest(place: number, afterSeq: number): Iterable<Numbered>
  remove(place: number, upToSeq: number): void
  begin(place: number, upToSeq: number): void
  transaction(work: () => void): void
  /** A transaction that is on the disk itself when this returns, with all before it. */
  syncedTransaction(work: () => void): void
  /** Gives the room of removed records back to the system. */
  shrink(): void
  close(): void
}

const PAGE_BYTES = 16_384

/** What a record of so many bytes takes in the file: a page holds whole rows if it can. */
export function bytesInFile(bytes: number): number {
  const row = bytes + 32
  if (row > PAGE_BYTES - 64) return (Math.ceil(row / PAGE_BYTES) + 1) * PAGE_BYTES
  return Math.ceil(PAGE_BYTES / Math.floor((PAGE_BYTES - 8) / row))
}

export const SPOOL_SCHEMA: SpoolSchema = {
  version: 1,
  pageBytes: PAGE_BYTES,
  sql: `
    CREATE TABLE places (
      id INTEGER PRIMARY KEY,
      topic TEXT NOT NULL,
      partition INTEGER NOT NULL,
      begun INTEGER NOT NULL,  -- records up to this seq may have been sent
      UNIQUE (topic, partition)
    )`,
}

/** One for each partition: rows are added at its end, removed from its front, page by page. */
function recordsTable(place: number): string {
  return `CREATE TABLE records_${place} (seq INTEGER PRIMARY KEY, key TEXT, value BLOB NOT NULL)`
}

/** The statements on an open spool file. */
export function createSpoolTable(database: DatabaseSync): SpoolTable {
  const places = database.prepare('SELECT id, topic, partition, begun FROM places')
  const insertPlace = database.prepare(
    'INSERT INTO places (topic, partition, begun) VALUES (?, ?, -1)',
  )
  const begin = database.prepare('UPDATE places SET begun = ? WHERE id = ?')
  const prepared = new Map<number, ReturnType<typeof prepare>>()

  function prepare(place: number) {
    const table = `records_${place}`
    return {
      sizes: database.prepare(
        `SELECT seq, coalesce(octet_length(key), 0) + length(value) AS size FROM ${table}`,
      ),
      add: database.prepare(`INSERT INTO ${table} (seq, key, value) VALUES (?, ?, ?)`),
      oldest: database.prepare(
        `SELECT seq, key, value FROM ${table} WHERE seq > ? ORDER BY seq LIMIT 4096`,
      ),
      remove: database.prepare(`DELETE FROM ${table} WHERE seq <= ?`),
    }
  }

  function of(place: number) {
    const known = prepared.get(place) ?? prepare(place)
    prepared.set(place, known)
    return known
  }

  function transaction(work: () => void): void {
    database.exec('BEGIN')
    try {
      work()
      database.exec('COMMIT')
    } catch (error) {
      // SQLite has rolled back by itself after some errors.
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }

  return {
    places: () => places.all() as unknown as PlaceRow[],
    addPlace(topic, partition) {
      const id = Number(insertPlace.run(topic, partition).lastInsertRowid)
      database.exec(recordsTable(id))
      return id
    },
    sizes: (place) => of(place).sizes.iterate() as Iterable<{ seq: number; size: number }>,
    add: (place, { seq, key, value }) => void of(place).add.run(seq, key, value),
    oldest: (place, afterSeq) => of(place).oldest.iterate(afterSeq) as Iterable<Numbered>,
    remove: (place, upToSeq) => void of(place).remove.run(upToSeq),
    begin: (place, upToSeq) => void begin.run(upToSeq, place),
    transaction,
    syncedTransaction(work) {
      database.exec('PRAGMA synchronous = FULL')
      try {
        transaction(work)
      } finally {
        database.exec('PRAGMA synchronous = NORMAL')
      }
    },
    shrink: () => database.exec('VACUUM'),
    close: () => database.close(),
  }
}
