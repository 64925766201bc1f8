import { DuckDBInstance, DuckDBListValue, DuckDBTimestampTZValue } from '@duckdb/node-api'
import type { Cell } from '../../../services/formats/column.ts'
import { DATAFUSION, PYARROW, pythonWith, runPython } from './python.ts'

/** A file as another reader sees it: names and types of the columns, and the cells of each row. */
export interface ReadBack {
  readonly columns: readonly (readonly [name: string, type: string])[]
  readonly rows: readonly (readonly Cell[])[]
}

/** Reads a Parquet file with DuckDB. */
export async function readWithDuckDb(path: string): Promise<ReadBack> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    const result = await connection.runAndReadAll('SELECT * FROM read_parquet($1)', [path])
    const types = result.columnTypes().map(String)
    return {
      columns: result.columnNames().map((name, i) => [name, types[i]!] as const),
      rows: result.getRows().map((row) => row.map(cellOf)),
    }
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** One value of a query with DuckDB, as text. */
export async function askDuckDb(query: string): Promise<readonly (readonly string[])[]> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    const rows = (await connection.runAndReadAll(query)).getRows()
    return rows.map((row) => row.map(String))
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

function cellOf(value: unknown): Cell {
  if (typeof value === 'bigint') return exact(value)
  if (value instanceof DuckDBTimestampTZValue) return exact(value.micros)
  if (value instanceof DuckDBListValue) return value.items.map(cellOf) as Cell
  return value as Cell
}

function exact(value: bigint): number {
  if (BigInt(Number(value)) !== value) throw new Error(`${value} is no safe integer`)
  return Number(value)
}

const SCRIPT = `
import json, math, sys
import pyarrow as pa, pyarrow.parquet as pq
def read(path):
    if path.startswith('datafusion:'):
        import datafusion
        context = datafusion.SessionContext()
        context.register_parquet('t', path[len('datafusion:'):])
        return context.sql('SELECT * FROM t').to_arrow_table()
    if path.endswith('.parquet'): return pq.read_table(path)
    with pa.ipc.open_stream(path) as reader: return reader.read_all()
def plain(column):
    if pa.types.is_timestamp(column.type): column = column.cast(pa.int64())
    if not pa.types.is_floating(column.type): return column.to_pylist()
    # JSON has no word for these.
    return [v if v is None or math.isfinite(v) else str(v) for v in column.to_pylist()]
out = []
for path in sys.argv[1:]:
    table = read(path)
    table.validate(full=True)
    columns = [plain(column) for column in table.columns]
    rows = [[column[i] for column in columns] for i in range(table.num_rows)]
    out.append({'columns': [[f.name, str(f.type)] for f in table.schema], 'rows': rows})
print(json.dumps(out))
`

/** Reads Parquet files (.parquet) and Arrow IPC streams (any other name) with pyarrow. */
export async function readWithPyarrow(paths: readonly string[]): Promise<readonly ReadBack[]> {
  return readWith(await pythonWith([PYARROW]), paths)
}

/** Reads a Parquet file with DataFusion; types are those of its Arrow table. */
export async function readWithDataFusion(path: string): Promise<ReadBack> {
  const [read] = await readWith(await pythonWith([PYARROW, DATAFUSION]), [`datafusion:${path}`])
  return read!
}

async function readWith(python: string, paths: readonly string[]): Promise<readonly ReadBack[]> {
  const read = await runPython<ReadBack[]>(python, SCRIPT, paths)
  return read.map(({ columns, rows }) => {
    const isDouble = columns.map(([, type]) => type === 'double')
    return { columns, rows: rows.map((row) => row.map((cell, i) => numberIn(cell, isDouble[i]!))) }
  })
}

function numberIn(cell: Cell, isDouble: boolean): Cell {
  if (!isDouble || typeof cell !== 'string') return cell
  return { nan: Number.NaN, inf: Infinity, '-inf': -Infinity }[cell]!
}
