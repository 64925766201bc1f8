/** Whether the lake holds each record once, by the rows that its files were put with. */
import type { Aggregate, ResourceSample, TokenEvents, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, RESOURCE_SAMPLES, TOKEN_EVENTS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import type { LakeFile } from '../../services/exporter/lake-range.ts'
import type { Cell } from '../../services/formats/column.ts'
import { datasetNamed } from '../../services/formats/datasets.ts'
import { tileFaults } from '../../services/lake/tiles.ts'
import { windowKey } from '../pipeline/oracle.ts'
import type { SimSinks } from './sim-sinks.ts'

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
  /** What a row is called, by its cells. */
  readonly rowId: (cell: (column: string) => Cell) => string
  /** What the row of a record is called; null for a record that has none. */
  readonly idOf: (value: never) => string | null
}

const DATASETS: readonly Dataset[] = [
  {
    topic: TOKEN_EVENTS,
    name: 'token_events',
    rowId: (cell) => `${cell('request_id')} ${cell('first_chunk')} ${cell('gaps_us')}`,
    idOf: (r: TokenEvents) => `${r.request_id} ${r.first_chunk} ${r.gaps_us}`,
  },
  {
    topic: RESOURCE_SAMPLES,
    name: 'resource_samples',
    rowId: (cell) => `${cell('endpoint')} ${cell('name')} ${cell('at')} ${cell('value')}`,
    idOf: ({ endpoint, name, at, value }: ResourceSample) => `${endpoint} ${name} ${at} ${value}`,
  },
  {
    topic: TOKEN_EVENTS,
    name: 'requests',
    rowId: (cell) => `${cell('request_id')}`,
    idOf: ({ request_id, end }: TokenEvents) => end && request_id,
  },
  {
    topic: AGGREGATES,
    name: 'aggregates',
    rowId: (cell) =>
      [
        cell('series'),
        cell('size_s'),
        (cell('window_start') as number) / 1000,
        cell('revision'),
        cell('requests'),
      ].join(' '),
    idOf: (value: Aggregate) => `${windowKey(value)} ${value.revision} ${value.requests}`,
  },
  {
    topic: TRIGGER_EVENTS,
    name: 'trigger_events',
    rowId: (cell) => `${cell('trigger_id')} ${cell('state')}`,
    idOf: (value: TriggerEvent) => `${value.trigger_id} ${value.state}`,
  },
]

/** What the files lack of the records that are due, hold twice, or should not hold. */
export function lakeFaults(
  files: ReadonlyMap<string, LakeFile>,
  read: (topic: string) => readonly Placed[],
): readonly string[] {
  return DATASETS.flatMap((dataset) => {
    const own = [...files.values()].filter((file) => file.dataset === dataset.name)
    return compare(dataset, rowsOf(dataset, own), read(dataset.topic))
  })
}

/** Whether the markers tile the log, and name every file that there is, and no other. */
export function markerFaults({ files, markers }: Pick<SimSinks, 'files' | 'markers'>): string[] {
  const named = [...markers.values()].flatMap((marker) => marker.files)
  const lost = named.filter(({ path }) => !files.has(path)).map(({ path }) => `${path} is lost`)
  const paths = new Set(named.map(({ path }) => path))
  const ends = new Map<string, number>()
  for (const { topic, partition, to } of markers.values()) {
    const place = `${topic}-${partition}-`
    ends.set(place, Math.max(ends.get(place) ?? 0, to))
  }
  // A range that was not finished has files that no marker names yet.
  const stray = [...files.keys()].filter((path) => {
    const [, place, from] = /([^/]+-)(\d+)\.parquet$/.exec(path)!
    return !paths.has(path) && Number(from) < (ends.get(place!) ?? 0)
  })
  const unnamed = stray.map((path) => `${path} is named by no marker`)
  return [...tileFaults([...markers.values()]), ...lost, ...unnamed].map((text) => `lake: ${text}`)
}

/** By `dataset partition offset`, what the row is called: several when there are several rows. */
function rowsOf({ name, rowId }: Dataset, files: readonly LakeFile[]): Map<string, string[]> {
  const columns = datasetNamed(name).columns.map((column) => column.name)
  const rows = new Map<string, string[]>()
  for (const cells of files.flatMap((file) => file.rows)) {
    const cell = (column: string) => cells[columns.indexOf(column)]!
    const key = `${name} ${cell('kafka_partition')} ${cell('kafka_offset')}`
    rows.set(key, [...(rows.get(key) ?? []), rowId(cell)])
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
