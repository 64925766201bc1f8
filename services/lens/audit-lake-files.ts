import type { Dataset } from '../formats/column.ts'
import type { RowSource } from '../formats/parquet.ts'
import { type FileOrigin, readOrigin } from '../formats/parquet-origin.ts'
import { generationOf } from '../lake/compaction.ts'
import { expiredBefore } from '../lake/expiry.ts'
import { lakeFiles } from '../lake/lake-files.ts'
import { readLakeLog } from '../lake/lake-log.ts'
import { liesBefore } from '../lake/lake-path.ts'
import { createFileReader, isOfSources } from '../lake/moved-rows.ts'
import type { ObjectStore } from '../lake/store.ts'

/** Every file but what a compaction has replaced, or is making, and what may have expired. */
export async function listFiles(lake: ObjectStore, expiredMs: number): Promise<readonly string[]> {
  const paths: string[] = []
  for await (const { path } of lake.list('')) {
    if (path.endsWith('.parquet') && generationOf(path) === null) paths.push(path)
  }
  const { live, replaced } = lakeFiles(await readLakeLog(lake), expiredMs)
  const compacted = [...live.keys()].filter((path) => generationOf(path) !== null)
  return [...paths.filter((path) => !replaced.has(path)), ...compacted]
    .filter((path) => !liesBefore(path, expiredMs))
    .sort()
}

/** What each file says, or of its rows the one that a compaction has put them into since. */
export async function* originsOf(
  lake: ObjectStore,
  { name }: Dataset,
  paths: readonly string[],
): AsyncIterable<[path: string, origin: FileOrigin | Error]> {
  const originOf = createFileReader<FileOrigin | Error>(lake, name, {
    read: originIn,
    part: (origin, sources) => (origin instanceof Error ? origin : partOf(origin, sources)),
  })
  for (const path of paths) {
    const origin = await originOf(path)
    if (origin !== null) yield [path, origin]
    else if (!liesBefore(path, await expiredBefore(lake))) {
      yield [path, new Error('it was removed meanwhile')]
    }
  }
}

/** What an origin would be with the rows of these sources alone. */
function partOf(
  { range, partitions, offsets }: FileOrigin,
  sources: readonly RowSource[],
): FileOrigin {
  const rows = [...offsets.keys()].filter((row) => {
    return isOfSources(sources, partitions[row]!, offsets[row]!)
  })
  return {
    range: { ...range, sources },
    partitions: rows.map((row) => partitions[row]!),
    offsets: rows.map((row) => offsets[row]!),
  }
}

function originIn(bytes: Uint8Array): FileOrigin | Error {
  try {
    return readOrigin(bytes)
  } catch (error) {
    return error as Error
  }
}
