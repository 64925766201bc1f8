/**
 * An exporter whose lake is on a small disk that somebody else fills, and empties again.
 * usage: node lake-disk-child.ts FOLDER; says as JSON what became of it.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { systemClock } from '../../services/bus/clock.ts'
import { createCodec, readSchemas } from '../../services/bus/codec.ts'
import { createHealth } from '../../services/bus/health.ts'
import { createMemoryBus } from '../../services/bus/memory.ts'
import { createFileRegistry } from '../../services/bus/registry.ts'
import { runStage } from '../../services/bus/run.ts'
import { createTopics } from '../../services/bus/topics.ts'
import { exporterConfig } from '../../services/exporter/config.ts'
import { createParquetThread } from '../../services/exporter/parquet-thread.ts'
import { createRangeSink } from '../../services/exporter/range-writer.ts'
import { lakeStage } from '../../services/exporter/stage.ts'
import { createFileStore } from '../../services/lake/file-store.ts'
import { createFindings } from '../../services/lens/audit-findings.ts'
import { auditLake } from '../../services/lens/audit-lake.ts'
import { verifyLake } from '../../services/lens/lake-verify.ts'
import { NOON_US, wholeRequest } from '../records.ts'

/** What the child says. */
export interface DiskReport {
  /** How often it met the full disk, and what it said of it. */
  readonly met: number
  readonly said: string
  /** Ranges that had their marker while the disk was full, and in the end. */
  readonly markersThen: number
  readonly markersNow: number
  readonly faults: readonly string[]
  readonly findings: readonly unknown[]
  readonly rows: number
  /** What a write that failed has left. */
  readonly temporaries: readonly string[]
}

const RECORDS = 80
const MEETINGS = 5
/** A file of ten rows is some tens of kB: a few ranges find room. */
const FREE_BYTES = 150_000

async function run(folder: string, diskBytes: number): Promise<DiskReport> {
  const lake = join(folder, 'lake')
  const filler = join(folder, 'filler')
  writeFileSync(filler, Buffer.alloc(diskBytes - FREE_BYTES))
  const codec = await createCodec(createFileRegistry(readSchemas()), Date.now)
  const bus = createMemoryBus({ clock: systemClock, automatic: true })
  await createTopics(bus, { partitions: 1, replication: 1 })
  const sink = await bus.sink()
  for (let i = 0; i < RECORDS; i++) {
    const record = wholeRequest({ request_id: `r-${i}`, started_at: NOON_US })
    await sink.append(TOKEN_EVENTS, 0, [{ key: null, value: codec.encode(TOKEN_EVENTS, record) }])
  }
  const files = (ending: string) =>
    readdirSync(lake, { recursive: true })
      .map(String)
      .filter((path) => path.endsWith(ending))
  const said: string[] = []
  const freed = Promise.withResolvers<number>()
  const log = (line: string) => {
    if (line.includes('the disk is full')) said.push(line)
    if (said.length === MEETINGS) freed.resolve(files('.json').length)
  }
  const health = createHealth('exporter')
  const spec = lakeStage(
    exporterConfig.parse({ rowsMax: 10 }),
    createRangeSink(createFileStore(lake), createParquetThread()),
    health,
  )
  const onFailure = (error: unknown) => freed.reject(error)
  const stage = await runStage(spec, { bus, codec, clock: systemClock, health, log, onFailure })
  const markersThen = await freed.promise
  rmSync(filler)
  while (!(await stage.hasReadAll())) await systemClock.sleep(50)
  await stage.stop()
  const store = createFileStore(lake)
  const { faults, totals } = await verifyLake(store, () => {})
  const findings = createFindings()
  await auditLake({ bus, codec, log: () => {} }, store, new Map(), findings)
  return {
    ...{ met: said.length, said: said[0]!, markersThen, markersNow: files('.json').length },
    ...{ faults, findings: findings.list, rows: totals.reduce((sum, own) => sum + own.rows, 0) },
    temporaries: files('.tmp'),
  }
}

if (import.meta.main) {
  const [folder, bytes] = process.argv.slice(2)
  process.stdout.write(JSON.stringify(await run(folder!, Number(bytes))))
}
