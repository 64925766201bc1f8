import type { RowSource } from '../formats/parquet.ts'
import type { RecordedCompaction } from './compaction.ts'
import { readCompactions } from './lake-log.ts'
import type { ObjectStore } from './store.ts'

/** What is made of a file, and of the rows in it that have these sources. */
export interface FileReading<T> {
  read(bytes: Uint8Array, path: string): T
  part(whole: T, sources: readonly RowSource[]): T
}

/**
 * Reads files of a dataset by their paths: of one that a compaction has replaced since it was
 * listed, its part of the file that has its rows by now. Null when it is in none.
 */
export function createFileReader<T>(
  store: ObjectStore,
  dataset: string,
  { read, part }: FileReading<T>,
): (path: string) => Promise<T | null> {
  const known = new Map<string, RecordedCompaction>()
  /** What was read last in place of a file that was gone: others have gone into it too. */
  let last: { readonly path: string; readonly whole: T | null } | null = null

  return async function open(path): Promise<T | null> {
    const bytes = await store.get(path)
    if (bytes !== null) return read(bytes, path)
    for (const { inputs, output } of await readCompactions(store, dataset, known)) {
      const own = inputs.find((input) => input.path === path)
      if (!own) continue
      if (last?.path !== output.path) last = { path: output.path, whole: await open(output.path) }
      return last.whole === null ? null : part(last.whole, own.sources)
    }
    return null
  }
}

/** Whether a row of this place is of one of the sources. */
export function isOfSources(
  sources: readonly RowSource[],
  partition: number,
  offset: number,
): boolean {
  return sources.some((source) => {
    return source.partition === partition && offset >= source.from && offset < source.to
  })
}
