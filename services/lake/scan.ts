import { LensError } from '../core/errors.ts'
import { type Cells, type Dataset, SOURCE_COLUMNS } from '../formats/column.ts'
import { parquetRows } from '../formats/parquet-format.ts'
import { generationOf } from './compaction.ts'
import { readCompactions } from './lake-log.ts'
import { hourOf } from './lake-path.ts'
import { createFileReader, isOfSources } from './moved-rows.ts'
import type { ObjectStore } from './store.ts'

/** Event times [fromUs, toUs) in µs since 1970. */
export interface TimeSpan {
  readonly fromUs: number
  readonly toUs: number
}

const HOUR_US = 3_600e6

/** The rows of a dataset in a span of event time, file by file in the order of hours. */
export async function* scanLake(
  store: ObjectStore,
  dataset: Dataset,
  span: TimeSpan,
): AsyncIterable<readonly Cells[]> {
  const [partition, offset] = SOURCE_COLUMNS.map(({ name }) => columnOf(dataset, name))
  const rowsIn = createFileReader<readonly Cells[]>(store, dataset.name, {
    read: (bytes, path) => rowsOf(dataset, bytes, `${store.describe}/${path}`),
    part: (rows, sources) =>
      rows.filter((cells) => {
        return isOfSources(sources, cells[partition!] as number, cells[offset!] as number)
      }),
  })
  const time = columnOf(dataset, dataset.timeColumn)
  for (const path of await filesIn(store, dataset, span)) {
    // None when it has expired since it was listed.
    const rows = ((await rowsIn(path)) ?? []).filter((cells) => {
      const us = cells[time] as number
      return us >= span.fromUs && us < span.toUs
    })
    if (rows.length > 0) yield rows
  }
}

/**
 * The files whose hour reaches into the span, in its order. Compactions are read behind them: what
 * one has replaced since is found through it.
 */
async function filesIn(
  store: ObjectStore,
  { name }: Dataset,
  { fromUs, toUs }: TimeSpan,
): Promise<readonly string[]> {
  const isWithin = (path: string) => {
    const hourUs = (hourOf(path) ?? Number.NaN) * 1000
    return hourUs < toUs && hourUs + HOUR_US > fromUs
  }
  const paths = new Set<string>()
  for await (const { path } of store.list(`${name}/`)) {
    if (generationOf(path) === null && isWithin(path)) paths.add(path)
  }
  const compactions = await readCompactions(store, name)
  for (const { output } of compactions) if (isWithin(output.path)) paths.add(output.path)
  for (const { inputs } of compactions) for (const { path } of inputs) paths.delete(path)
  return [...paths].sort()
}

function columnOf({ columns }: Dataset, name: string): number {
  return columns.findIndex((column) => column.name === name)
}

function rowsOf(dataset: Dataset, bytes: Uint8Array, place: string): Cells[] {
  try {
    return parquetRows(dataset, bytes)
  } catch (cause) {
    const message = `cannot read ${place}: ${(cause as Error).message}`
    throw new LensError('store_unavailable', message, { cause })
  }
}
