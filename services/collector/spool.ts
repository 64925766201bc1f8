import { LensError } from '../core/errors.ts'
import { type Clock, SYSTEM_CLOCK } from './clock.ts'
import { createSpoolFaults, type SpoolFaults } from './spool-faults.ts'
import { openSpoolFile } from './spool-file.ts'
import {
  bytesInFile,
  createSpoolTable,
  type Numbered,
  SPOOL_SCHEMA,
  type SpoolTable,
} from './spool-table.ts'

export interface SpoolOptions {
  readonly folder: string
  /** Of all records, each with what it takes in the file; the WAL beside it has up to 8 MiB. */
  readonly bytesMax: number
  readonly log: (line: string) => void
  readonly clock?: Clock
}

/** A record and the partition that it waits for. */
export interface Spooling {
  readonly topic: string
  readonly partition: number
  readonly record: Numbered
}

export interface SpoolStats {
  /** What it holds now. */
  readonly records: number
  readonly bytes: number
  /** Records that were put in since it was opened. */
  readonly written: number
  /** Records that were in it when it was opened... */
  readonly restored: number
  /** ...and those of them whose send had begun: removed, because they may be in the log. */
  readonly unknown: number
  /** Damaged or foreign files that were renamed. */
  readonly setAside: number
}

/** Why the last records did not go in. */
export type SpoolTrouble = 'spool_full' | 'spool_failed'

/**
 * Records on disk while the log is away, by partition, oldest first. When it is full it takes
 * nothing more: the old ones stay, so that what is kept has no gaps and the newest are missing.
 *
 * A record that was added outlives the process, however that ends; a power cut takes what the
 * system had not yet written. What begin() says is synced: a record whose send has begun is not
 * sent again, not even after a power cut. Only begin() fails, the others say how far they came.
 */
export interface Spool {
  /** For the next record: above all that were ever in here. */
  readonly nextSeq: number
  /** Partitions that have records. */
  places(): readonly { readonly topic: string; readonly partition: number }[]
  /** How many records a partition has. */
  records(topic: string, partition: number): number
  /** Adds in one transaction what fits, from the first on; returns how many that are. */
  add(records: readonly Spooling[]): number
  trouble(): SpoolTrouble
  /** The oldest of a partition, at least one; none when they cannot be read now. */
  oldest(topic: string, partition: number, bytesMax: number): readonly Numbered[]
  /** Must have resolved before these, the oldest, are sent. Rejects with store_unavailable. */
  begin(topic: string, partition: number, records: readonly Numbered[]): Promise<void>
  /** These, the oldest, have been dealt with; they stay only if they certainly were not sent. */
  end(topic: string, partition: number, records: readonly Numbered[], stay: boolean): void
  stats(): SpoolStats
  close(): void
}

interface Place {
  readonly id: number
  readonly topic: string
  readonly partition: number
  records: number
  /** Records up to here are done with, also where the file could not follow. */
  ended: number
  /** Records up to here may have been sent, says the file. */
  begun: number
}

/** Opens the spool of a folder as openSpoolFile does; removes from it what may have been sent. */
export function openSpool(options: SpoolOptions): Spool {
  const { log, bytesMax, clock = SYSTEM_CLOCK } = options
  const { path, database, setAside } = openSpoolFile(options.folder, SPOOL_SCHEMA, log)
  const table = createSpoolTable(database)
  const faults = createSpoolFaults(path, log, clock)
  const places = new Map<string, Place>()
  const placeOf = (topic: string, partition: number) => places.get(`${topic}-${partition}`)
  const begin = createBegin(path, table, faults)
  let bytes = 0
  let written = 0
  let full = false
  const found = { restored: 0, unknown: 0, nextSeq: 0 }
  for (const row of table.places()) restore({ ...row, records: 0, ended: row.begun })
  if (found.restored > 0) log(`the spool ${path} holds ${found.restored} records`)
  else faults.guard('shrink', table.shrink)

  function restore(place: Place): void {
    places.set(`${place.topic}-${place.partition}`, place)
    found.nextSeq = Math.max(found.nextSeq, place.begun + 1)
    for (const { seq, size } of table.sizes(place.id)) {
      found.restored += 1
      found.nextSeq = Math.max(found.nextSeq, seq + 1)
      if (seq <= place.begun) found.unknown += 1
      else count(place, size)
    }
    faults.guard('remove from', () => table.remove(place.id, place.begun))
  }

  function count(place: Place, size: number): void {
    place.records += 1
    bytes += bytesInFile(size)
  }

  function addPlace(topic: string, partition: number): Place {
    const id = table.addPlace(topic, partition)
    const place = { id, topic, partition, records: 0, ended: -1, begun: -1 }
    places.set(`${topic}-${partition}`, place)
    return place
  }

  /** How many of them fit, from the first on. */
  function fitting(records: readonly Spooling[]): number {
    let total = bytes
    const first = records.findIndex(({ record }) => {
      total += bytesInFile(sizeOf(record))
      return total > bytesMax
    })
    full = first >= 0
    return full ? first : records.length
  }

  return {
    nextSeq: found.nextSeq,
    places: () => [...places.values()].filter((place) => place.records > 0),
    records: (topic, partition) => placeOf(topic, partition)?.records ?? 0,
    add(records) {
      const some = records.slice(0, fitting(records))
      if (some.length === 0 || faults.resting()) return 0
      const known = places.size
      const targets: Place[] = []
      const done = faults.guard('write', () => {
        table.transaction(() => {
          for (const { topic, partition, record } of some) {
            const place = placeOf(topic, partition) ?? addPlace(topic, partition)
            targets.push(place)
            table.add(place.id, record)
          }
        })
      })
      if (!done) {
        // The rows of the new places are rolled back.
        for (const name of [...places.keys()].slice(known)) places.delete(name)
        return 0
      }
      targets.forEach((place, i) => {
        count(place, sizeOf(some[i]!.record))
      })
      written += some.length
      return some.length
    },
    trouble: () => (full ? 'spool_full' : 'spool_failed'),
    oldest(topic, partition, most) {
      const place = placeOf(topic, partition)!
      const records: Numbered[] = []
      let size = 0
      const done = faults.guard('read', () => {
        for (const record of table.oldest(place.id, place.ended)) {
          size += sizeOf(record)
          if (records.length > 0 && size > most) break
          records.push(record)
        }
      })
      return done ? records : []
    },
    async begin(topic, partition, records) {
      const place = placeOf(topic, partition)!
      const last = records.at(-1)!.seq
      if (place.begun < last) await begin(place, last)
    },
    end(topic, partition, records, stay) {
      const place = placeOf(topic, partition)!
      const last = records.at(-1)!.seq
      const before = records[0]!.seq - 1
      if (stay) {
        if (place.begun <= before) return
        const done = faults.guard('write', () => table.begin(place.id, before))
        if (done) place.begun = before
        return
      }
      place.ended = last
      place.records -= records.length
      for (const record of records) bytes -= bytesInFile(sizeOf(record))
      faults.guard('remove from', () => table.remove(place.id, last))
    },
    stats() {
      const { restored, unknown } = found
      const records = [...places.values()].reduce((sum, place) => sum + place.records, 0)
      return { records, bytes, written, restored, unknown, setAside }
    },
    close: () => table.close(),
  }
}

/** One transaction and one sync for all partitions that begin to send at the same moment. */
function createBegin(path: string, table: SpoolTable, faults: SpoolFaults) {
  const asked = new Map<Place, number>()
  let committing: Promise<void> | null = null

  async function commit(): Promise<void> {
    await null
    committing = null
    const all = [...asked]
    asked.clear()
    const done = faults.guard('write', () => {
      table.syncedTransaction(() => {
        for (const [{ id }, seq] of all) table.begin(id, seq)
      })
    })
    if (!done) {
      const message = `nothing is sent from the spool ${path} while it cannot be written`
      throw new LensError('store_unavailable', message, { retryable: true })
    }
    for (const [place, seq] of all) place.begun = seq
  }

  return (place: Place, upToSeq: number): Promise<void> => {
    asked.set(place, upToSeq)
    committing ??= commit()
    return committing
  }
}

function sizeOf({ key, value }: Numbered): number {
  return Buffer.byteLength(key ?? '') + value.length
}
