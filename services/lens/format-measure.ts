import { isDeepStrictEqual } from 'node:util'
import { zstdCompressSync } from 'node:zlib'
import { type Cells, type Dataset, optional } from '../formats/column.ts'
import type { Format } from '../formats/format.ts'

/** What a format made of some rows. */
export interface Measured {
  readonly format: Format
  readonly bytesPerRow: number
  /** The same compressed as a whole, as a transport or a broker would. */
  readonly zstdBytesPerRow: number
  readonly writeRowsPerS: number
  readonly readRowsPerS: number
  /** Whether a reader of today reads what has a column more, and all that it knows of it. */
  readonly readsNewer: boolean
  /** Whether a reader that knows a column more reads what lacks it, which is null then. */
  readonly readsOlder: boolean
}

const RUNS = 3

/** Writes the rows and reads them, a few times: the fastest counts, as the least disturbed. */
export function measureFormat(format: Format, dataset: Dataset, rows: readonly Cells[]): Measured {
  let bytes = new Uint8Array(0)
  const writeS = fastest(() => {
    const writer = format.writer(dataset)
    bytes = Buffer.concat([writer.add(rows), writer.end()])
  })
  const readS = fastest(() => format.read(dataset, bytes))
  return {
    format,
    bytesPerRow: bytes.length / rows.length,
    zstdBytesPerRow: zstdCompressSync(bytes).length / rows.length,
    writeRowsPerS: rows.length / writeS,
    readRowsPerS: rows.length / readS,
    ...evolutionOf(format, dataset, rows.slice(0, EVOLUTION_ROWS)),
  }
}

const EVOLUTION_ROWS = 100
const LATER = optional('added_later', 'string', () => null)

/** Writes and reads rows with a column more, and with one less than the reader knows. */
function evolutionOf(format: Format, dataset: Dataset, rows: readonly Cells[]) {
  const newer = { ...dataset, columns: [...dataset.columns, LATER] }
  const bytesOf = (by: Dataset, all: readonly Cells[]) => {
    const writer = format.writer(by)
    return Buffer.concat([writer.add(all), writer.end()])
  }
  const isSo = (read: () => readonly Cells[], wanted: readonly Cells[]) => {
    try {
      return isDeepStrictEqual(read().map(plain), wanted.map(plain))
    } catch {
      return false
    }
  }
  const more = rows.map((cells) => [...cells, 'new'])
  const withNull = rows.map((cells) => [...cells, null])
  return {
    readsNewer: isSo(() => format.read(dataset, bytesOf(newer, more)), rows),
    readsOlder: isSo(() => format.read(newer, bytesOf(dataset, rows)), withNull),
  }
}

/** Zero has a sign that not every format keeps. */
function plain(cells: Cells): Cells {
  return cells.map((cell) => (cell === 0 ? 0 : cell))
}

function fastest(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS; run++) {
    const started = performance.now()
    work()
    best = Math.min(best, (performance.now() - started) / 1000)
  }
  return best
}
