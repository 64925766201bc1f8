import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { toArrow, toArrowStream } from '../../../services/formats/arrow.ts'
import { type Cell, type Cells, cellsOf } from '../../../services/formats/column.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { toParquet } from '../../../services/formats/parquet.ts'
import { DATAFUSION, PYARROW, pythonWith, runPython } from './python.ts'
import { askDuckDb } from './read-back.ts'
import { requestEnd, T0_MS, tokenEvents } from './records.ts'

/** Three pages of a column and more, so that there is something to skip. */
const ROWS = 60_000
const MAX = Number.MAX_SAFE_INTEGER

type Value = string | number

/** A filter that each engine can be asked in its own words. */
interface Filter {
  readonly column: string
  readonly op: '=' | '!=' | '<' | '>' | '>='
  readonly value: Value
}

interface Answers {
  readonly pyarrow: number
  readonly datafusion: number
  /** Pages that DataFusion did not read, by their statistics. */
  readonly pagesSkipped: number
}

const SCRIPT = `
import json, re, sys
import datafusion, pyarrow.compute as pc, pyarrow.dataset as ds
path, filters = sys.argv[1], json.loads(sys.argv[2])
context = datafusion.SessionContext()
context.register_parquet('t', path)
def expression(column, op, value):
    f = pc.field(column)
    return {'=': f == value, '!=': f != value, '<': f < value, '>': f > value, '>=': f >= value}[op]
def skipped(sql):
    batches = context.sql('EXPLAIN ANALYZE ' + sql).collect()
    text = str([line for batch in batches for line in batch.column(1).to_pylist()])
    pages = re.search(r'page_index_pages_pruned=(\\d+) total . (\\d+) matched', text)
    return int(pages[1]) - int(pages[2]) if pages else 0
out = []
for f in filters:
    value = "'%s'" % f['value'] if isinstance(f['value'], str) else str(f['value'])
    sql = 'SELECT count(*) FROM t WHERE %s %s %s' % (f['column'], f['op'], value)
    filter = expression(f['column'], f['op'], f['value'])
    out.append({
        'pyarrow': ds.dataset(path, format='parquet').count_rows(filter=filter),
        'datafusion': context.sql(sql).collect()[0].column(0)[0].as_py(),
        'pagesSkipped': skipped(sql),
    })
print(json.dumps(out))
`

/** Offsets and times rise; labels come in long runs; durations reach what an integer can hold. */
function requestOf(i: number): object {
  const model = ['llama', 'größe', '模型'][Math.floor((3 * i) / ROWS)]!
  const end = requestEnd({
    ttft_us: i % 7 === 0 ? null : i,
    duration_us: i === 5 ? 2 ** 52 : 260_000,
    intended_at: i === 9 ? MAX : null,
    cost_usd: i % 5 === 0 ? i / 8 : null,
  })
  return tokenEvents({ request_id: `r-${i}`, model, started_at: T0_MS * 1000 + i, end })
}

/** Every third value is one of those that compare with nothing, or with everything. */
function sampleOf(i: number): object {
  const value = i % 3 === 0 ? [Number.NaN, Infinity, -Infinity][(i / 3) % 3]! : i
  const labels = { endpoint: `e-${i % 5}`, model: '', region: 'eu', attributes: {} }
  return { at: T0_MS * 1000 + i, name: 'requests_running', value, ...labels }
}

interface Case {
  readonly dataset: string
  readonly recordOf: (i: number) => object
  readonly filters: readonly Filter[]
  /** Columns whose filter must skip pages. */
  readonly skips: readonly string[]
}

const CASES: readonly Case[] = [
  {
    dataset: 'requests',
    recordOf: requestOf,
    filters: [
      { column: 'kafka_offset', op: '=', value: MAX - 1 },
      { column: 'kafka_offset', op: '>', value: MAX - 100 },
      { column: 'model', op: '=', value: '模型' },
      { column: 'model', op: '!=', value: 'größe' },
      { column: 'request_id', op: '=', value: 'r-31234' },
      { column: 'ttft_us', op: '<', value: 1_000 },
      { column: 'ttft_us', op: '>=', value: 59_000 },
      { column: 'duration_us', op: '=', value: 2 ** 52 },
      { column: 'queue_us', op: '=', value: 0 },
      { column: 'cost_usd', op: '>', value: 7_000.5 },
      { column: 'error_type', op: '=', value: '' },
    ],
    skips: ['kafka_offset', 'ttft_us'],
  },
  {
    dataset: 'resource_samples',
    recordOf: sampleOf,
    filters: [
      { column: 'value', op: '=', value: 31 },
      { column: 'value', op: '<', value: 31 },
      { column: 'endpoint', op: '=', value: 'e-3' },
      { column: 'kafka_offset', op: '<', value: MAX - ROWS + 20 },
    ],
    skips: ['kafka_offset'],
  },
]

function matches(cell: Cell, { op, value }: Filter): boolean {
  // A null is no answer, also to "not equal"; NaN is neither less nor equal.
  if (cell === null) return false
  if (op === '=') return cell === value
  if (op === '!=') return cell !== value
  if (op === '<') return cell < value
  return op === '>' ? cell > value : cell >= value
}

describe('formats: DuckDB, pyarrow and DataFusion', function () {
  this.timeout(300_000)
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-engines-'))
  })
  after(() => rm(folder, { recursive: true }))

  for (const { dataset, recordOf, filters, skips } of CASES) {
    it(`count the same rows of ${dataset}, and skip pages`, async () => {
      const { columns, version } = datasetNamed(dataset)
      const rows: Cells[] = Array.from({ length: ROWS }, (_, i) => {
        const source = { partition: 0, offset: MAX - ROWS + i, record: recordOf(i) }
        const row = cellsOf(columns, source)
        if ('fault' in row) throw new Error(row.fault)
        return row.cells
      })
      const path = join(folder, `${dataset}.parquet`)
      const place = { topic: 't', partition: 0, from: MAX - ROWS, to: MAX }
      const metadata = { dataset, schemaVersion: version, ...place }
      await writeFile(path, toParquet(toArrowStream(toArrow(columns, rows)), columns, metadata))

      const python = await pythonWith([PYARROW, DATAFUSION])
      const asked = [path, JSON.stringify(filters)]
      const answers = await runPython<Answers[]>(python, SCRIPT, asked)
      for (const [i, filter] of filters.entries()) {
        const { column, op, value } = filter
        const index = columns.findIndex(({ name }) => name === column)
        const expected = rows.filter((cells) => matches(cells[index]!, filter)).length
        const literal = typeof value === 'string' ? `'${value}'` : `${value}`
        const where = `${column} ${op} ${literal}`
        const sql = `SELECT count(*) FROM read_parquet('${path}') WHERE ${where}`
        const duckdb = Number((await askDuckDb(sql))[0]![0])
        const { pyarrow, datafusion, pagesSkipped } = answers[i]!
        expect({ duckdb, pyarrow, datafusion }, where).to.deep.equal({
          ...{ duckdb: expected, pyarrow: expected, datafusion: expected },
        })
        if (skips.includes(column)) expect(pagesSkipped, where).to.be.at.least(1)
      }
    })
  }
})
