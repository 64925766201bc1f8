import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import { systemClock } from '../../../services/bus/clock.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createHealth } from '../../../services/bus/health.ts'
import { createMemoryBus, type MemoryBus } from '../../../services/bus/memory.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { runStage } from '../../../services/bus/run.ts'
import { createTopics } from '../../../services/bus/topics.ts'
import { exporterConfig } from '../../../services/exporter/config.ts'
import { createParquetThread } from '../../../services/exporter/parquet-thread.ts'
import { createRangeSink } from '../../../services/exporter/range-writer.ts'
import { lakeStage } from '../../../services/exporter/stage.ts'
import { type Cells, cellsOf } from '../../../services/formats/column.ts'
import { REQUESTS } from '../../../services/formats/requests-dataset.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'
import type { ObjectStore } from '../../../services/lake/store.ts'
import { createFindings } from '../../../services/lens/audit-findings.ts'
import { auditLake } from '../../../services/lens/audit-lake.ts'
import { compactLake } from '../../../services/lens/lake-compact.ts'
import { NOON_US, tokenEvents, wholeRequest } from '../../records.ts'
import { bytesOf } from '../exporter/lake-log.ts'

const PARTITIONS = 2
const ROWS_MAX = 10

describe('lens/audit-lake', () => {
  let bus: MemoryBus
  let codec: Codec
  let folder: string

  /** 30 ended requests in two hours, 10 records that end none and a bad one; then the exporter. */
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lens-audit-lake-'))
    codec = await createCodec(createFileRegistry(readSchemas()), Date.now)
    bus = createMemoryBus({ clock: systemClock, automatic: true })
    await createTopics(bus, { partitions: PARTITIONS, replication: 1 })
    const sink = await bus.sink()
    for (let i = 0; i < 40; i++) {
      const started_at = NOON_US + Math.floor(i / 20) * 3_600e6
      const make = i % 4 === 3 ? tokenEvents : wholeRequest
      const value = codec.encode(TOKEN_EVENTS, make({ request_id: `r-${i}`, started_at }))
      await sink.append(TOKEN_EVENTS, i % PARTITIONS, [{ key: null, value }])
    }
    await sink.append(TOKEN_EVENTS, 0, [{ key: null, value: Buffer.from('no avro') }])
    const health = createHealth('exporter')
    const lakeSink = createRangeSink(createFileStore(folder), createParquetThread())
    const stage = lakeStage(exporterConfig.parse({ rowsMax: ROWS_MAX }), lakeSink, health)
    const onFailure = (error: unknown) => expect.fail(String(error))
    const parts = { bus, codec, clock: systemClock, health, log: () => {}, onFailure }
    const exporter = await runStage(stage, parts)
    await bus.settle()
    await exporter.stop()
  })

  afterEach(() => rmSync(folder, { recursive: true }))

  async function audited(store: ObjectStore = createFileStore(folder)) {
    const findings = createFindings()
    const rows = await auditLake({ bus, codec, log: () => {} }, store, new Map(), findings)
    const said = findings.list.map(({ kind, place, text }) => `${kind}: ${place}: ${text}`)
    return { rows: rows.filter(({ dataset }) => dataset === 'requests'), said }
  }

  function files(): string[] {
    const paths = readdirSync(folder, { recursive: true }).map(String).sort()
    return paths.filter((path) => path.endsWith('.parquet'))
  }

  it('finds every ended request once', async () => {
    const { rows, said } = await audited()
    expect(said).deep.equal([])
    expect(rows.map(({ expected, found }) => [expected, found])).deep.equal([
      [20, 20],
      [10, 10],
    ])
    expect(rows[0]).include({ from: 0, end: 21, files: 2 })
  })

  it('finds them in what is compacted, and misses those that are not in it', async () => {
    const store = createFileStore(folder)
    const nowMs = NOON_US / 1000 + 3_600_000
    await compactLake(store, { nowMs, closedMs: nowMs, removeMs: 0 }, () => {})
    expect((await audited()).said).deep.equal([])
    const before = files().length
    await compactLake(store, { nowMs, closedMs: 0, removeMs: nowMs }, () => {})
    expect(files().length).below(before)
    const { rows, said } = await audited()
    expect(said).deep.equal([])
    expect(rows.map(({ expected, found }) => [expected, found])).deep.equal([
      [20, 20],
      [10, 10],
    ])
    const [path] = files().filter((name) => /requests.*compacted/.test(name))
    rmSync(join(folder, path!))
    expect((await audited()).said).deep.equal([
      `unreadable: requests: ${path}: it was removed meanwhile`,
      'lake_missing: requests-0: 10 records have no row, first at 0, 1, 2, 3, 4',
      'lake_missing: requests-1: 5 records have no row, first at 0, 2, 4, 6, 8',
    ])
  })

  it('finds them while a compaction goes on, whenever that is', async () => {
    const store = createFileStore(folder)
    const paths = files()
    const copy = `${folder}-copy`
    cpSync(folder, copy, { recursive: true })
    for (const at of [0, 1, 3, 5]) {
      let gets = 0
      const beside: ObjectStore = {
        ...store,
        async get(path) {
          if (path.endsWith('.parquet') && gets++ === at) {
            const nowMs = NOON_US / 1000 + 9_000_000
            await compactLake(store, { nowMs, closedMs: nowMs, removeMs: nowMs }, () => {})
          }
          return store.get(path)
        },
      }
      expect((await audited(beside)).said, `at ${at}`).deep.equal([])
      expect(files().length).below(paths.length)
      rmSync(folder, { recursive: true })
      cpSync(copy, folder, { recursive: true })
    }
    const listed: ObjectStore = {
      ...store,
      async *list(prefix) {
        yield* store.list(prefix)
        if (prefix !== '') return
        const nowMs = NOON_US / 1000 + 9_000_000
        await compactLake(store, { nowMs, closedMs: nowMs, removeMs: nowMs }, () => {})
      },
    }
    expect((await audited(listed)).said).deep.equal([])
    rmSync(copy, { recursive: true })
  })

  it('names records that lost their file', async () => {
    const [path] = files().filter((name) => name.includes('token-events-1'))
    rmSync(join(folder, path!))
    const { said } = await audited()
    expect(said).deep.equal([
      'lake_missing: requests-1: 5 records have no row, first at 0, 2, 4, 6, 8',
    ])
  })

  it('names a row that is in two files', async () => {
    const [path] = files().filter((name) => name.includes('token-events-0'))
    const other = path!.replace('hour=12', 'hour=12/x')
    mkdirSync(join(folder, dirname(other)), { recursive: true })
    copyFileSync(join(folder, path!), join(folder, other))
    expect((await audited()).said[0]).equal(`lake_twice: requests-0: 0 again in ${other}`)
  })

  it('names a row that no record of the topic made, and files that overlap', async () => {
    // Offset 1 of partition 1 ends no request.
    const row = cellsOf(REQUESTS.columns, { partition: 1, offset: 1, record: wholeRequest() })
    const file = { path: '', dataset: 'requests', rows: [(row as { cells: Cells }).cells] }
    const range = { topic: TOKEN_EVENTS, partition: 1, from: 1, to: 2 }
    const other =
      'requests/date=2026-11-24/hour=12/lens.token-events-1-00000000000000000001.parquet'
    await createFileStore(folder).create(other, bytesOf(file, range))
    expect((await audited()).said).deep.equal([
      'lake_extra: requests-1: 1 rows are of no such record',
      'lake_twice: requests-1: the files from 1 overlap those that end at 10: [1, 10)',
    ])
  })

  it('names a file that cannot be read', async () => {
    const [path] = files()
    writeFileSync(join(folder, path!), 'no parquet')
    expect((await audited()).said[0]).match(/^unreadable: requests: requests\/date=.*parquet: /)
  })
})
