import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { toArrow, toArrowStream } from '../../../services/formats/arrow.ts'
import {
  type Cells,
  type ColumnType,
  cellsOf,
  type Dataset,
} from '../../../services/formats/column.ts'
import { DATASETS } from '../../../services/formats/datasets.ts'
import { mergeParquet } from '../../../services/formats/merge-parquet.ts'
import { parquetStream, toParquet } from '../../../services/formats/parquet.ts'
import { RECORDS } from './arbitraries.ts'
import { readWithDataFusion, readWithDuckDb, readWithPyarrow } from './read-back.ts'

const SEED = 20_251_124
const ROWS = 300
const OFFSET_MAX = 2 ** 53 - 1 - ROWS

const DUCKDB_TYPES: Readonly<Record<ColumnType, string>> = {
  string: 'VARCHAR',
  label: 'VARCHAR',
  int64: 'BIGINT',
  int32: 'INTEGER',
  float64: 'DOUBLE',
  timestamp_us: 'TIMESTAMP WITH TIME ZONE',
  bool: 'BOOLEAN',
  int32_list: 'INTEGER[]',
  int64_list: 'BIGINT[]',
  string_list: 'VARCHAR[]',
}
const PYARROW_TYPES: Readonly<Record<ColumnType, string>> = {
  string: 'string',
  label: 'dictionary<values=string, indices=int32, ordered=0>',
  int64: 'int64',
  int32: 'int32',
  float64: 'double',
  timestamp_us: 'timestamp[us, tz=UTC]',
  bool: 'bool',
  int32_list: 'list<element: int32 not null>',
  int64_list: 'list<element: int64 not null>',
  string_list: 'list<element: string not null>',
}

function anyRows(dataset: Dataset): Cells[] {
  const records = fc.sample(RECORDS[dataset.name]!, { seed: SEED, numRuns: ROWS })
  return records.map((record, i) => {
    const row = cellsOf(dataset.columns, { partition: 0, offset: OFFSET_MAX + i, record })
    if ('fault' in row) throw new Error(row.fault)
    return row.cells
  })
}

describe('formats: other readers', function () {
  this.timeout(300_000)
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-formats-'))
  })
  after(() => rm(folder, { recursive: true }))

  for (const dataset of DATASETS) {
    const { name, columns, version } = dataset
    const typed = (types: Readonly<Record<ColumnType, string>>): string[][] =>
      columns.map((column) => [column.name, types[column.type]])

    it(`agree on every value of ${name} (seed ${SEED})`, async () => {
      const rows = anyRows(dataset)
      const bytes = toArrowStream(toArrow(columns, rows))
      const range = { topic: 't', partition: 0, from: 0, to: ROWS }
      const parquet = join(folder, `${name}.parquet`)
      const stream = join(folder, `${name}.arrows`)
      const metadata = { dataset: name, schemaVersion: version, ...range }
      await writeFile(parquet, toParquet(bytes, columns, metadata))
      await writeFile(stream, bytes)

      const duckDb = await readWithDuckDb(parquet)
      expect(duckDb.columns).to.deep.equal(typed(DUCKDB_TYPES))
      expectRows(duckDb.rows, rows)
      for (const pyarrow of await readWithPyarrow([parquet, stream])) {
        expect(pyarrow.columns).to.deep.equal(typed(PYARROW_TYPES))
        expectRows(pyarrow.rows, rows)
      }
      expectRows((await readWithDataFusion(parquet)).rows, rows)
    })

    it(`agree on every value of ${name} in a file that was compacted`, async () => {
      const rows = anyRows(dataset)
      const range = { topic: 't', partition: 0, from: 0, to: ROWS }
      const metadata = { dataset: name, schemaVersion: version, ...range }
      const half = Math.floor(ROWS / 2)
      const streams = [rows.slice(half), rows.slice(0, half)].map((some) =>
        parquetStream(toParquet(toArrowStream(toArrow(columns, some)), columns, metadata)),
      )
      const path = join(folder, `${name}-compacted.parquet`)
      await writeFile(path, mergeParquet(dataset, streams, []))
      const inOrder = (all: readonly Cells[]) =>
        all.toSorted((a, b) => Number(a.at(-1)) - Number(b.at(-1)))
      const duckDb = await readWithDuckDb(path)
      expect(duckDb.columns).to.deep.equal(typed(DUCKDB_TYPES))
      const [pyarrow] = await readWithPyarrow([path])
      const dataFusion = await readWithDataFusion(path)
      for (const read of [duckDb, pyarrow!, dataFusion]) expectRows(inOrder(read.rows), rows)
      // By the first of its labels, a null first.
      const at = columns.findIndex((column) => column.name === dataset.sortColumns[0])
      const labels = duckDb.rows.map((cells) => cells[at] as string | null)
      const texts = labels.filter((label) => label !== null)
      expect(labels.slice(labels.length - texts.length)).to.deep.equal(texts)
      expect(texts).to.deep.equal(texts.toSorted())
    })

    it(`read a file of ${name} without rows`, async () => {
      const path = join(folder, `${name}-empty.parquet`)
      const range = { topic: 't', partition: 0, from: 0, to: 0 }
      const metadata = { dataset: name, schemaVersion: version, ...range }
      await writeFile(path, toParquet(toArrowStream(toArrow(columns, [])), columns, metadata))
      const duckDb = await readWithDuckDb(path)
      const [pyarrow] = await readWithPyarrow([path])
      expect(duckDb).to.deep.equal({ columns: typed(DUCKDB_TYPES), rows: [] })
      expect(pyarrow).to.deep.equal({ columns: typed(PYARROW_TYPES), rows: [] })
    })
  }
})

// Row by row: a difference is then shown as one row and not as three hundred.
function expectRows(actual: readonly Cells[], expected: readonly Cells[]): void {
  expect(actual).to.have.length(expected.length)
  for (let i = 0; i < expected.length; i++) expect(actual[i], `row ${i}`).to.deep.equal(expected[i])
}
