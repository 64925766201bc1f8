import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { type Stack, startStack } from '../../infra/local/stack.ts'
import { createRangeSink, writeRange } from '../../services/exporter/range-writer.ts'
import { datasetNamed } from '../../services/formats/datasets.ts'
import {
  createRestCatalog,
  type IcebergCatalog,
  type TableCommit,
} from '../../services/lake/iceberg/catalog.ts'
import { scanLake } from '../../services/lake/scan.ts'
import { type ObjectStore, openStore } from '../../services/lake/store.ts'
import { compactLake } from '../../services/lens/lake-compact.ts'
import { expireLake } from '../../services/lens/lake-expire.ts'
import { syncTables } from '../../services/lens/lake-iceberg.ts'
import { broken, bytesOf, ended, rangesOf } from '../services/exporter/lake-log.ts'
import { PYARROW, pythonWith } from '../services/formats/python.ts'
import { T0_MS } from '../services/formats/records.ts'

const SCRIPT = new URL('iceberg_readers.py', import.meta.url).pathname
const PYICEBERG = ['pyiceberg==0.12.0', PYARROW]
/** DuckDB fetches its extensions from a server of its own; as packages they come with the rest. */
const DUCKDB_PARTS = ['', '-extension-avro', '-extension-httpfs', '-extension-iceberg'].map(
  (name) => `duckdb${name}==1.5.5`,
)
const DUCKDB = [...DUCKDB_PARTS, PYARROW]
const NO_TOKEN = { token: '', oauthUrl: '', oauthScope: 'catalog' }
const HOUR_MS = 3_600_000
/** T0 is half past an hour. */
const HOUR1_MS = T0_MS + HOUR_MS / 2
const ALWAYS = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY }

type Row = Readonly<Record<string, unknown>>

/** Not one that only changes columns or properties. */
function isSnapshot({ updates }: TableCommit): boolean {
  return updates.some((update) => 'snapshot' in update)
}

interface Found {
  readonly rows: readonly Row[]
  readonly files: readonly string[]
  readonly last_hour: number
  readonly snapshots: readonly ({ readonly id: string } & Readonly<Record<string, string>>)[]
  readonly properties: Readonly<Record<string, string>>
  readonly manifests: number
}

describe('lens lake iceberg, read by pyiceberg and DuckDB', function () {
  this.timeout(600_000)
  let folder: string
  let stack: Stack
  let n = 0
  let store: ObjectStore
  let catalog: IcebergCatalog

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-iceberg-'))
    stack = await startStack({ parts: ['s3'], dataFolder: join(folder, 'data'), log: () => {} })
  })
  after(async () => {
    await stack?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const open = (location: string) => openStore(location, stack.env)
  const namespace = () => `latency_lens_${n}`

  /** A lake and tables of its own for each test. */
  beforeEach(async () => {
    n++
    store = await open(`s3://lake/test-${n}`)
    catalog = createRestCatalog({
      url: stack.env.ICEBERG_CATALOG_URL!,
      warehouse: stack.env.ICEBERG_WAREHOUSE!,
      namespace: namespace(),
      credential: stack.env.ICEBERG_CREDENTIAL!,
      ...NO_TOKEN,
      now: Date.now,
    })
  })

  /** Two requests of each of these minutes after T0, each minute a range of its own. */
  async function write(partition: number, minutes: readonly number[], from = 0): Promise<void> {
    const log = minutes.flatMap((minute, m) =>
      [0, 1].map((i) => {
        const started_at = (T0_MS + minute * 60_000) * 1000
        const tenant = `t-${i}`
        return ended(from + 2 * m + i, (from + m) * 60_000, { started_at, tenant })
      }),
    )
    const sink = createRangeSink(store, async (...file) => bytesOf(...file))
    for (const range of rangesOf(partition, log)) await writeRange(range, sink)
  }

  async function sync(on: IcebergCatalog = catalog, keepSinceMs = 0): Promise<readonly string[]> {
    const said: string[] = []
    const nowMs = Date.now()
    await syncTables({ store, catalog: on, open, nowMs, keepSinceMs }, (line) => said.push(line))
    return said
  }

  async function found(
    reader: 'pyiceberg' | 'duckdb' | 'delete',
    table: string,
    ...more: string[]
  ): Promise<Found> {
    const python = await pythonWith(reader === 'duckdb' ? DUCKDB : PYICEBERG)
    const env = { ...process.env, ...stack.env, ICEBERG_NAMESPACE: namespace() }
    const args = [SCRIPT, reader, table, ...more]
    const { stdout } = await promisify(execFile)(python, args, { env, maxBuffer: 2 ** 26 })
    return JSON.parse(stdout)
  }

  /** The rows of the lake in their order, by the names of their columns; times as texts. */
  async function rowsOfLake(name: string): Promise<readonly Row[]> {
    const dataset = datasetNamed(name)
    const rows: Row[] = []
    for await (const part of scanLake(store, dataset, ALWAYS)) {
      for (const cells of part) {
        const named = dataset.columns.map((column, i) => [column.name, cells[i]])
        rows.push(Object.fromEntries(named))
      }
    }
    return ordered(rows)
  }

  function ordered(rows: readonly Row[]): readonly Row[] {
    const place = (row: Row) => Number(row.kafka_partition) * 1e6 + Number(row.kafka_offset)
    return rows.toSorted((a, b) => place(a) - place(b))
  }

  /** Both in one form: a timestamp is a text to Python, and microseconds to us. */
  function plain(name: string, rows: readonly Row[]): readonly Row[] {
    const times = datasetNamed(name).columns.filter(({ type }) => type === 'timestamp_us')
    return rows.map((row) => ({
      ...row,
      ...Object.fromEntries(
        times.map((column) => {
          const value = row[column.name]
          const iso = String(value).replace(' ', 'T')
          const us = Number(/\.(\d{6})/.exec(iso)?.[1] ?? 0)
          const wholeMs = Date.parse(iso.replace(/\.\d+/, ''))
          return [column.name, typeof value === 'string' ? wholeMs * 1000 + us : value]
        }),
      ),
    }))
  }

  it('has every row with every value, for both', async () => {
    await write(0, [0, 10, 61])
    await write(1, [0, 10])
    expect(await sync()).to.deep.equal([
      'token_events: 5 files more, 0 less: 5 files, 10 rows',
      'requests: 5 files more, 0 less: 5 files, 10 rows',
    ])
    for (const name of ['requests', 'token_events']) {
      const wanted = await rowsOfLake(name)
      expect(wanted).to.have.length(10)
      for (const reader of ['pyiceberg', 'duckdb'] as const) {
        const { rows } = await found(reader, name)
        expect(plain(name, ordered(rows)), `${reader} ${name}`).to.deep.equal(wanted)
      }
    }
    const { files, last_hour, properties, snapshots } = await found('pyiceberg', 'requests')
    expect(files[0]).to.match(/^s3:\/\/lake\/test-\d+\/requests\/date=2025-11-24\/hour=10\//)
    // One file of five is of that hour.
    expect(last_hour).to.equal(1)
    expect(JSON.parse(properties['latency-lens.offsets']!)).to.deep.equal({ 0: 6, 1: 4 })
    expect(snapshots.map(({ operation }) => operation)).to.deep.equal(['append'])
    expect(snapshots[0]).to.deep.include({ 'added-records': '10', 'total-records': '10' })
  })

  it('takes what has come since, and says nothing when nothing has', async () => {
    await write(0, [0, 10])
    await sync()
    expect(await sync()).to.deep.equal([])
    await write(0, [5], 100)
    expect(await sync()).to.include('requests: 1 files more, 0 less: 3 files, 6 rows')
    const { rows, snapshots, properties } = await found('pyiceberg', 'requests')
    expect(rows).to.have.length(6)
    expect(snapshots).to.have.length(2)
    expect(JSON.parse(properties['latency-lens.offsets']!)).to.deep.equal({ 0: 102 })
  })

  it('has each row once, however many do it at a time', async () => {
    for (let i = 0; i < 4; i++) {
      await write(0, [i], 10 * i)
      await Promise.all([sync(), sync(), sync()])
    }
    const { rows, files } = await found('pyiceberg', 'requests')
    expect(ordered(plain('requests', rows))).to.deep.equal(await rowsOfLake('requests'))
    expect(files).to.have.length(4)
  })

  it('has it once when the answer to a commit is lost', async () => {
    await write(0, [0, 10])
    const losing: IcebergCatalog = {
      ...catalog,
      async commit(table, commit) {
        await catalog.commit(table, commit)
        if (!isSnapshot(commit)) return true
        throw new Error('the answer is lost')
      },
    }
    expect(await sync(losing)).to.have.length(2)
    expect(await sync()).to.deep.equal([])
    expect((await found('pyiceberg', 'requests')).rows).to.have.length(4)
  })

  it('changes files for the one that they were compacted into at once, and still has the ones before', async () => {
    await write(0, [0, 10, 20])
    await write(1, [0, 61])
    await sync()
    const before = await found('pyiceberg', 'requests')
    const nowMs = Date.now()
    await compactLake(store, { nowMs, closedMs: HOUR1_MS, removeMs: 0 }, () => {})
    expect(await sync()).to.include('requests: 1 files more, 4 less: 2 files, 10 rows')
    const after = await found('pyiceberg', 'requests')
    expect(ordered(after.rows)).to.deep.equal(ordered(before.rows))
    expect(after.files).to.have.length(2)
    expect(after.snapshots.map(({ operation }) => operation)).to.deep.equal(['append', 'replace'])
    expect((await found('duckdb', 'requests')).rows).to.have.length(10)
    const then = await found('pyiceberg', 'requests', before.snapshots[0]!.id)
    expect(then.files).to.deep.equal(before.files)
    expect(then.rows).to.have.length(10)
  })

  it('lets go of hours that have expired', async () => {
    await write(0, [0, 10, 61])
    await sync()
    await expireLake(store, HOUR1_MS, true, () => {})
    expect(await sync()).to.include('requests: 0 files more, 2 less: 1 files, 2 rows')
    const { rows, snapshots } = await found('pyiceberg', 'requests')
    expect(rows).to.have.length(2)
    expect(snapshots.at(-1)).to.deep.include({ operation: 'delete', 'deleted-records': '4' })
  })

  it('keeps metadata small: few manifests, and no snapshots for ever', async () => {
    for (let i = 0; i < 53; i++) {
      await write(0, [i % 20], 10 * i)
      await sync(catalog, i > 50 ? Number.POSITIVE_INFINITY : 0)
    }
    const { rows, snapshots, manifests, files } = await found('pyiceberg', 'requests')
    expect(rows).to.have.length(106)
    expect(files).to.have.length(53)
    expect(manifests).to.be.below(10)
    expect(snapshots).to.have.length(2)
  })

  it('touches no table to which somebody else has written, and says so', async () => {
    await write(0, [0])
    await sync()
    await found('delete', 'requests')
    await write(0, [10], 100)
    const refused = await sync().catch((error) => error)
    expect(refused).to.have.property('code', 'lake_conflict')
    expect(refused.message).to.contain('Iceberg table requests')
  })

  it('is not undone by one that was slower, whose lake was another', async () => {
    await write(0, [0])
    await sync()
    let isFirst = true
    const overtaken: IcebergCatalog = {
      ...catalog,
      async commit(table, commit) {
        if (isFirst && isSnapshot(commit)) {
          isFirst = false
          await write(0, [10], 200)
          await compactLake(store, { nowMs: 1, closedMs: HOUR1_MS, removeMs: 1 }, () => {})
          await sync()
        }
        return catalog.commit(table, commit)
      },
    }
    await write(0, [5], 100)
    await sync(overtaken)
    const { rows, properties, files } = await found('pyiceberg', 'requests')
    expect(rows).to.have.length(6)
    expect(files).to.have.length(1)
    expect(JSON.parse(properties['latency-lens.offsets']!)).to.deep.equal({ 0: 202 })
  })

  it('tells new rows, files that were replaced and expired hours apart', async () => {
    await write(0, [0, 10, 61])
    await sync()
    await write(0, [5], 100)
    await compactLake(store, { nowMs: 1, closedMs: HOUR1_MS, removeMs: 0 }, () => {})
    await write(0, [15], 200)
    await sync()
    const operations = async () =>
      (await found('pyiceberg', 'requests')).snapshots.map(({ operation }) => operation)
    // A range was compacted before the table ever had it.
    expect(await operations()).to.deep.equal(['append', 'append', 'overwrite'])
    await write(0, [70], 300)
    await expireLake(store, HOUR1_MS, true, () => {})
    await sync()
    expect((await operations()).slice(3)).to.deep.equal(['append', 'delete'])
    expect((await found('pyiceberg', 'requests')).rows).to.have.length(4)
  })

  it('says how far a table reaches, also when it has got no row', async () => {
    await write(0, [0])
    await sync()
    const nothing = { ...rangesOf(0, [broken(50, 0)])[0]!, files: [] }
    await writeRange(
      nothing,
      createRangeSink(store, async (...file) => bytesOf(...file)),
    )
    expect(await sync()).to.deep.equal([])
    const { properties, snapshots } = await found('pyiceberg', 'requests')
    expect(JSON.parse(properties['latency-lens.offsets']!)).to.deep.equal({ 0: 51 })
    expect(properties['gc.enabled']).to.equal('false')
    expect(snapshots).to.have.length(1)
  })

  it('is of one lake only, parted as it was made', async () => {
    await write(0, [0])
    await sync()
    const own = store
    store = await open(`s3://lake/other-${n}`)
    await write(0, [0])
    const other = await sync().catch((error) => error)
    expect(other).to.have.property('code', 'lake_conflict')
    expect(other.message).to.contain(`it is of the lake ${own.describe}`)
    store = own
    const table = (await catalog.load('requests'))!
    const fields = [{ name: 'tenant', transform: 'identity', 'source-id': 6, 'field-id': 1001 }]
    const updates = [
      { action: 'add-spec', spec: { 'spec-id': 7, fields } },
      { action: 'set-default-spec', 'spec-id': -1 },
    ]
    const requirements = [{ type: 'assert-table-uuid', uuid: table['table-uuid'] }]
    expect(await catalog.commit('requests', { requirements, updates })).to.equal(true)
    const refused = await sync().catch((error) => error)
    expect(refused.message).to.contain('it is parted otherwise')
  })

  it('gets the columns that a build has appended, and leaves those of a later build', async () => {
    await write(0, [0])
    await sync()
    const table = (await catalog.load('requests'))!
    const schema = table.schemas.find((one) => one['schema-id'] === table['current-schema-id'])!
    const set = async (id: number, fields: readonly object[]) => {
      const updates = [
        {
          ...{ action: 'add-schema', 'last-column-id': 2000 },
          schema: { type: 'struct', 'schema-id': id, fields },
        },
        { action: 'set-current-schema', 'schema-id': -1 },
      ]
      const requirements = [{ type: 'assert-table-uuid', uuid: table['table-uuid'] }]
      expect(await catalog.commit('requests', { requirements, updates })).to.equal(true)
    }
    const next = { id: schema.fields.length + 1, name: 'later', required: false, type: 'string' }
    await set(11, [...schema.fields, next])
    await write(0, [10], 100)
    await sync()
    const { rows } = await found('pyiceberg', 'requests')
    expect(rows.map((row) => row.later)).to.deep.equal([null, null, null, null])
    await set(12, schema.fields.slice(0, -3))
    await write(0, [20], 200)
    await sync()
    const after = await found('pyiceberg', 'requests')
    const own = after.rows.map(({ later, ...row }) => row)
    expect(plain('requests', ordered(own))).to.deep.equal(await rowsOfLake('requests'))
  })

  it('says what a catalog answers that does not let it in', async () => {
    await write(0, [0])
    const at = { url: stack.env.ICEBERG_CATALOG_URL!, warehouse: '', namespace: 'n', ...NO_TOKEN }
    const stranger = createRestCatalog({ ...at, credential: 'lens:wrong', now: Date.now })
    const refused = await sync(stranger).catch((error) => error)
    expect(refused).to.have.property('code', 'store_unavailable')
    expect(refused.message).to.match(/answers 40\d to .*oauth\/tokens/)
    const gone = createRestCatalog({
      ...at,
      url: 'http://127.0.0.1:1',
      credential: '',
      now: Date.now,
    })
    const away = await sync(gone).catch((error) => error)
    expect(away).to.deep.include({ code: 'store_unavailable', retryable: true })
  })
})
