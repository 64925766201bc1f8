import { LensError } from '../core/errors.ts'
import type { Cells, Dataset } from '../formats/column.ts'
import { parquetRows } from '../formats/parquet-format.ts'
import { hourOf } from './lake-path.ts'
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
  { fromUs, toUs }: TimeSpan,
): AsyncIterable<readonly Cells[]> {
  const time = dataset.columns.findIndex(({ name }) => name === dataset.timeColumn)
  for (const path of await filesIn(store, dataset, { fromUs, toUs })) {
    const bytes = await store.get(path)
    // Removed since it was listed.
    if (bytes === null) continue
    const rows = rowsOf(dataset, bytes, `${store.describe}/${path}`).filter((cells) => {
      const us = cells[time] as number
      return us >= fromUs && us < toUs
    })
    if (rows.length > 0) yield rows
  }
}

function rowsOf(dataset: Dataset, bytes: Uint8Array, place: string): Cells[] {
  try {
    return parquetRows(dataset, bytes)
  } catch (cause) {
    const message = `cannot read ${place}: ${(cause as Error).message}`
    throw new LensError('store_unavailable', message, { cause })
  }
}

/** The files whose hour reaches into the span, in its order. */
async function filesIn(
  store: ObjectStore,
  { name }: Dataset,
  { fromUs, toUs }: TimeSpan,
): Promise<readonly string[]> {
  const paths: string[] = []
  for await (const { path } of store.list(`${name}/`)) {
    const hourMs = hourOf(path)
    if (hourMs === null) continue
    const startUs = hourMs * 1000
    if (startUs < toUs && startUs + HOUR_US > fromUs) paths.push(path)
  }
  return paths.sort()
}
