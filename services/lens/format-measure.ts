import { zstdCompressSync } from 'node:zlib'
import type { Cells, Dataset } from '../formats/column.ts'
import type { Format } from '../formats/format.ts'

/** What a format made of some rows. */
export interface Measured {
  readonly format: Format
  readonly bytesPerRow: number
  /** The same compressed as a whole, as a transport or a broker would. */
  readonly zstdBytesPerRow: number
  readonly writeRowsPerS: number
  readonly readRowsPerS: number
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
  }
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
