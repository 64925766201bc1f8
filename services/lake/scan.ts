import { LensError } from '../core/errors.ts'
import { type Cells, type Dataset, SOURCE_COLUMNS } from '../formats/column.ts'
import type { RowSource } from '../formats/parquet.ts'
import { parquetRows } from '../formats/parquet-format.ts'
import { generationOf, type RecordedCompaction } from './compaction.ts'
import { readCompactions } from './lake-log.ts'
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
  span: TimeSpan,
): AsyncIterable<readonly Cells[]> {
  const { filesIn, rowsIn } = createReader(store, dataset)
  const time = columnOf(dataset, dataset.timeColumn)
  for (const path of await filesIn(span)) {
    const rows = (await rowsIn(path)).filter((cells) => {
      const us = cells[time] as number
      return us >= span.fromUs && us < span.toUs
    })
    if (rows.length > 0) yield rows
  }
}

/** Reads a dataset while compactions go on beside it: every row once. */
function createReader(store: ObjectStore, dataset: Dataset) {
  const known = new Map<string, RecordedCompaction>()
  const [partition, offset] = SOURCE_COLUMNS.map(({ name }) => columnOf(dataset, name))
  /** What was read last in place of a file that was gone: others have gone into it too. */
  let last: { readonly path: string; readonly rows: readonly Cells[] } | null = null

  function isOf(cells: Cells, { from, to, ...source }: RowSource): boolean {
    const at = cells[offset!] as number
    return cells[partition!] === source.partition && at >= from && at < to
  }

  /** The rows of a file, wherever they are by now; none when it has expired since it was listed. */
  async function rowsIn(path: string): Promise<readonly Cells[]> {
    const bytes = await store.get(path)
    if (bytes !== null) return rowsOf(dataset, bytes, `${store.describe}/${path}`)
    for (const { inputs, output } of await readCompactions(store, dataset.name, known)) {
      const own = inputs.find((input) => input.path === path)
      if (!own) continue
      if (last?.path !== output.path) last = { path: output.path, rows: await rowsIn(output.path) }
      return last.rows.filter((cells) => own.sources.some((source) => isOf(cells, source)))
    }
    return []
  }

  /**
   * The files whose hour reaches into the span, in its order. Compactions are read behind them:
   * what one has replaced since is found through it.
   */
  async function filesIn({ fromUs, toUs }: TimeSpan): Promise<readonly string[]> {
    const isWithin = (path: string) => {
      const hourUs = (hourOf(path) ?? Number.NaN) * 1000
      return hourUs < toUs && hourUs + HOUR_US > fromUs
    }
    const paths = new Set<string>()
    for await (const { path } of store.list(`${dataset.name}/`)) {
      if (generationOf(path) === null && isWithin(path)) paths.add(path)
    }
    const compactions = await readCompactions(store, dataset.name, known)
    for (const { output } of compactions) if (isWithin(output.path)) paths.add(output.path)
    for (const { inputs } of compactions) for (const { path } of inputs) paths.delete(path)
    return [...paths].sort()
  }

  return { rowsIn, filesIn }
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
