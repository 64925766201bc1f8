/** Whether the lake holds each record once, as DuckDB reads it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { Aggregate, TokenEvents, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, TOKEN_EVENTS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import { windowKey } from '../pipeline/oracle.ts'

/** A record of a topic, and where it lies. */
export interface Placed {
  readonly partition: number
  readonly offset: number
  /** Undefined when its bytes are none. */
  readonly value: unknown
  /** Whether it must be in the lake by now. */
  readonly isDue: boolean
}

interface Dataset {
  readonly topic: string
  readonly name: string
  /** What a row is called, in SQL. */
  readonly sql: string
  /** What the row of a record is called; null for a record that has none. */
  readonly idOf: (value: never) => string | null
}

const DATASETS: readonly Dataset[] = [
  {
    topic: TOKEN_EVENTS,
    name: 'requests',
    sql: 'request_id',
    idOf: ({ request_id, end }: TokenEvents) => end && request_id,
  },
  {
    topic: AGGREGATES,
    name: 'aggregates',
    sql: "concat(series, ' ', size_s, ' ', epoch_ms(window_start), ' ', revision, ' ', requests)",
    idOf: (value: Aggregate) => `${windowKey(value)} ${value.revision} ${value.requests}`,
  },
  {
    topic: TRIGGER_EVENTS,
    name: 'trigger_events',
    sql: "concat(trigger_id, ' ', state)",
    idOf: (value: TriggerEvent) => `${value.trigger_id} ${value.state}`,
  },
]

let opened: Promise<DuckDBConnection> | null = null

/** What the files lack of the records that are due, hold twice, or should not hold. */
export async function lakeFaults(
  files: ReadonlyMap<string, Uint8Array>,
  read: (topic: string) => readonly Placed[],
): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'lens-simulated-lake-'))
  try {
    const found: string[] = []
    for (const dataset of DATASETS) {
      const paths: string[] = []
      for (const [path, bytes] of files) {
        if (!path.startsWith(`${dataset.name}/`)) continue
        paths.push(join(folder, path.replaceAll('/', ' ')))
        writeFileSync(paths.at(-1)!, bytes)
      }
      found.push(...compare(dataset, await rowsOf(dataset, paths), read(dataset.topic)))
    }
    return found
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** By `dataset partition offset`, what the row is called: several when there are several rows. */
async function rowsOf({ name, sql }: Dataset, paths: readonly string[]) {
  const rows = new Map<string, string[]>()
  if (paths.length === 0) return rows
  // It would keep what it has read of every seed: 12 GiB after a thousand of them.
  const options = { threads: '1', enable_external_file_cache: 'false' }
  opened ??= DuckDBInstance.create(':memory:', options).then((lake) => lake.connect())
  const list = paths.map((path) => `'${path}'`).join()
  const query = `SELECT kafka_partition, kafka_offset, ${sql} FROM read_parquet([${list}])`
  for (const [partition, offset, id] of (await (await opened).runAndReadAll(query)).getRows()) {
    const key = `${name} ${partition} ${offset}`
    rows.set(key, [...(rows.get(key) ?? []), String(id)])
  }
  return rows
}

function compare(
  { name, idOf }: Dataset,
  rows: Map<string, string[]>,
  records: readonly Placed[],
): string[] {
  const found: string[] = []
  for (const { partition, offset, value, isDue } of records) {
    const key = `${name} ${partition} ${offset}`
    const id = value === undefined ? null : idOf(value as never)
    const got = rows.get(key) ?? []
    rows.delete(key)
    const isRight = id === null ? got.length === 0 : got.length === 1 && got[0] === id
    const isAwaited = id !== null && got.length === 0 && !isDue
    if (!isRight && !isAwaited) found.push(`lake: ${key} is ${got.join(' and ') || 'not there'}`)
  }
  return [...found, ...[...rows.keys()].map((key) => `lake: ${key} is no record`)]
}
