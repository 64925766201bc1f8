import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { createRandom } from '../../../services/core/random.ts'
import type { LakeRange } from '../../../services/exporter/lake-range.ts'
import { createRangeSink, writeRange } from '../../../services/exporter/range-writer.ts'
import type { Cells } from '../../../services/formats/column.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { parquetRows } from '../../../services/formats/parquet-format.ts'
import { readOrigin } from '../../../services/formats/parquet-origin.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'
import { scanLake } from '../../../services/lake/scan.ts'
import type { ObjectStore } from '../../../services/lake/store.ts'
import { compactLake } from '../../../services/lens/lake-compact.ts'
import { expireLake } from '../../../services/lens/lake-expire.ts'
import { verifyLake } from '../../../services/lens/lake-verify.ts'
import { bytesOf, ended, rangesOf } from '../exporter/lake-log.ts'
import { T0_MS } from '../formats/records.ts'

const HOUR_MS = 3_600_000
/** T0 is half past an hour. */
const HOUR1_MS = T0_MS + HOUR_MS / 2
const ALWAYS = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY }
const REQUESTS = datasetNamed('requests')
const COLUMN_OF = Object.fromEntries(REQUESTS.columns.map(({ name }, i) => [name, i]))
const MODELS = ['b', 'a', 'c']
const TENANTS = ['y', '', 'x']

describe('lens/lake-compact', function () {
  this.timeout(120_000)
  let folder: string
  let store: ObjectStore

  /** Two partitions: three ranges of the first hour each, and one of the second. */
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-compact-'))
    store = createFileStore(folder)
    for (const range of [...ranges(0, [0, 10, 20, 61]), ...ranges(1, [0, 10, 20, 61])]) {
      await write(range)
    }
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** Four requests of each of these minutes after T0, each minute a range of its own. */
  function ranges(partition: number, minutes: readonly number[], from = 0): readonly LakeRange[] {
    const log = minutes.flatMap((minute, m) =>
      [0, 1, 2, 3].map((i) => {
        const started_at = (T0_MS + minute * 60_000 - i * 1000) * 1000
        const labels = { model: MODELS[i % 3]!, tenant: TENANTS[(i + m) % 3]! }
        return ended(from + m * 4 + i, (m + 100) * 60_000, { started_at, ...labels })
      }),
    )
    return rangesOf(partition, log)
  }

  function write(range: LakeRange, to = store): Promise<void> {
    return writeRange(
      range,
      createRangeSink(to, async (...file) => bytesOf(...file)),
    )
  }

  const compact = (on = store, over: { closedMs?: number; removeMs?: number } = {}) => {
    const nowMs = HOUR1_MS + 2 * HOUR_MS
    return compactLake(on, { nowMs, closedMs: HOUR1_MS, removeMs: nowMs, ...over }, () => {})
  }
  const verified = (on = store) => verifyLake(on, () => {})

  async function filesOf(dataset: string): Promise<string[]> {
    const paths: string[] = []
    for await (const { path } of store.list(`${dataset}/`)) paths.push(path)
    return paths.sort()
  }

  /** Every row of requests, in the order of the topic, as a reader of the lake sees it. */
  async function rowsIn(on = store): Promise<readonly Cells[]> {
    const rows: Cells[] = []
    for await (const part of scanLake(on, REQUESTS, ALWAYS)) rows.push(...part)
    const [partition, offset] = [COLUMN_OF.kafka_partition!, COLUMN_OF.kafka_offset!]
    return rows.sort(
      (a, b) =>
        Number(a[partition]) - Number(b[partition]) || Number(a[offset]) - Number(b[offset]),
    )
  }

  /** Fails every operation that changes something but for the first n; counts them all. */
  function failingAfter(n: number): ObjectStore & { changes(): number } {
    let changes = 0
    const may = () => {
      if (++changes > n) throw new Error('broken off')
    }
    return {
      ...store,
      create: async (...put) => {
        may()
        return store.create(...put)
      },
      remove: async (path) => {
        may()
        return store.remove(path)
      },
      changes: () => changes,
    }
  }

  it('makes one sorted file of all of a closed hour, and leaves the others alone', async () => {
    const before = await rowsIn()
    expect(before).to.have.length(32)
    const done = await compact()
    expect(done).to.deep.include({ inputs: 12, outputs: 2, rows: 48, removed: 12 })
    const paths = await filesOf('requests')
    expect(paths).to.have.length(3)
    expect(paths[0]).to.match(/hour=10\/compacted-000001-[0-9a-f]{16}\.parquet$/)
    expect(await rowsIn()).to.deep.equal(before)
    const bytes = (await store.get(paths[0]!))!
    const keys = parquetRows(REQUESTS, bytes).map((cells) =>
      ['tenant', 'model', 'ended_at'].map((name) => String(cells[COLUMN_OF[name]!])).join(' '),
    )
    expect(keys).to.have.length(24)
    expect(keys).to.deep.equal(keys.toSorted())
    const { range } = readOrigin(bytes)
    expect(range).to.deep.include({ dataset: 'requests', partition: -1 })
    const source = { partition: 1, from: 8, to: 12, rows: 4 }
    expect(range.sources).to.have.length(6)
    expect(range.sources!.at(-1)).to.deep.equal(source)
    const { totals, leftOver, faults } = await verified()
    expect({ leftOver, faults }).to.deep.equal({ leftOver: 0, faults: [] })
    const short = totals.map(({ dataset, partition, files, rows }) => [
      dataset,
      partition,
      files,
      rows,
    ])
    expect(short.slice(0, 3)).to.deep.equal([
      ['requests', 0, 1, 4],
      ['requests', 1, 1, 4],
      ['requests', null, 1, 24],
    ])
  })

  it('has nothing to do a second time, until there are late rows', async () => {
    await compact()
    expect(await compact()).to.deep.include({ inputs: 0, outputs: 0, removed: 0 })
    for (const range of ranges(0, [5], 100)) await write(range)
    const before = await rowsIn()
    expect(await compact()).to.deep.include({ inputs: 4, outputs: 2, rows: 56, removed: 4 })
    expect(await rowsIn()).to.deep.equal(before)
    expect((await filesOf('requests'))[0]).to.contain('compacted-000002')
    expect((await verified()).faults).to.deep.equal([])
  })

  it('keeps what is replaced for as long as it is told, and nobody reads it twice', async () => {
    const before = await rowsIn()
    const done = await compact(store, { removeMs: HOUR1_MS })
    expect(done).to.deep.include({ outputs: 2, removed: 0 })
    expect(await filesOf('requests')).to.have.length(9)
    expect(await rowsIn()).to.deep.equal(before)
    expect(await verified()).to.deep.include({ leftOver: 12, faults: [] })
    expect(await compact()).to.deep.include({ outputs: 0, removed: 12 })
    expect(await verified()).to.deep.include({ leftOver: 0, faults: [] })
  })

  it('goes on wherever it was broken off, with or without late rows since', async () => {
    const before = await rowsIn()
    for (let n = 0, isDone = false; !isDone; n++) {
      const failing = failingAfter(n)
      isDone = await compact(failing).then(
        () => true,
        () => false,
      )
      expect(await rowsIn(), `after ${n}`).to.deep.equal(before)
      expect((await verified()).faults, `after ${n}`).to.deep.equal([])
    }
    expect(await verified()).to.deep.include({ leftOver: 0 })
    expect(await filesOf('requests')).to.have.length(3)
  })

  it('removes what it had made for an hour that has got rows since', async () => {
    await compact(failingAfter(1)).catch(() => {})
    expect(await filesOf('requests')).to.have.length(9)
    for (const range of ranges(0, [5], 100)) await write(range)
    const before = await rowsIn()
    expect(await verified()).to.deep.include({ leftOver: 1, faults: [] })
    await compact()
    expect(await rowsIn()).to.deep.equal(before)
    expect(await verified()).to.deep.include({ leftOver: 0, faults: [] })
    expect(await filesOf('requests')).to.have.length(3)
  })

  it('can be done by several at once, with a writer beside them', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = createRandom(seed)
      const slow = slowed(store, random)
      const from = 100 * seed
      const late = ranges(seed % 2, [seed % 30], from)
      const write1 = async () => {
        for (const range of late) await write(range, slow)
      }
      await Promise.all([compact(slow), write1(), compact(slow), compact(slow)])
      const { faults } = await verified()
      expect(faults, `seed ${seed}`).to.deep.equal([])
      const rows = await rowsIn()
      const places = new Set(rows.map((cells) => cells.slice(-2).join(' ')))
      expect(rows, `seed ${seed}`).to.have.length(32 + 4 * seed)
      expect(places.size, `seed ${seed}`).to.equal(rows.length)
    }
    await compact()
    expect((await verified()).leftOver).to.equal(0)
    expect(await filesOf('requests')).to.have.length(3)
  })

  it('gives way to another that was quicker and had more to do', async () => {
    let before: readonly Cells[] = []
    const overtaken: ObjectStore = {
      ...store,
      async create(path, bytes) {
        if (path.startsWith('_compactions/requests/') && before.length === 0) {
          for (const range of ranges(0, [5], 100)) await write(range)
          before = await rowsIn()
          await compact()
        }
        return store.create(path, bytes)
      },
    }
    expect(await compact(overtaken)).to.deep.include({ outputs: 0, removed: 0 })
    expect(await rowsIn()).to.deep.equal(before)
    expect(await verified()).to.deep.include({ leftOver: 0, faults: [] })
  })

  it('is seen whole by whoever reads while it is done', async () => {
    const before = await rowsIn()
    let isBegun = false
    const watched: ObjectStore = {
      ...store,
      async get(path) {
        if (path.endsWith('.parquet') && !isBegun) {
          isBegun = true
          await compact()
          for (const range of ranges(0, [5], 100)) await write(range)
          await compact()
        }
        return store.get(path)
      },
    }
    expect(await rowsIn(watched)).to.deep.equal(before)
    expect(isBegun).to.equal(true)
    isBegun = false
    expect((await verified(watched)).faults).to.deep.equal([])
  })

  it('is not undone by an exporter that writes a range again', async () => {
    await compact()
    const before = [await filesOf('requests'), await rowsIn()]
    for (const range of ranges(0, [0, 10, 20, 61])) await write(range)
    expect([await filesOf('requests'), await rowsIn()]).to.deep.equal(before)
  })

  it('expires like any other file, wherever that is broken off', async () => {
    await compact()
    for (const range of ranges(0, [5], 100)) await write(range)
    await compact()
    const expire = (on: ObjectStore) => expireLake(on, HOUR1_MS, true, () => {})
    for (let n = 0, isDone = false; !isDone; n++) {
      isDone = await expire(failingAfter(n)).then(
        () => true,
        () => false,
      )
      expect((await verified()).faults, `after ${n}`).to.deep.equal([])
    }
    expect(await rowsIn()).to.have.length(8)
    for await (const { path } of store.list('_compactions/')) expect.fail(path)
  })

  it('names what a compaction has lost, and what it says of another file', async () => {
    await compact()
    const [output] = await filesOf('requests')
    const bytes = await readFile(join(folder, output!))
    await writeFile(join(folder, output!), bytes.subarray(1))
    expect((await verified()).faults).to.deep.equal([`${output}: other bytes were put`])
    await rm(join(folder, output!))
    expect((await verified()).faults).to.deep.equal([`${output}: it is not there`])
    await writeFile(join(folder, output!), bytes)
    const path = `_compactions/requests/${output!.split('/').slice(1, 3).join('/')}/000001.json`
    const record = JSON.parse(await readFile(join(folder, path), 'utf8'))
    record.inputs[1].sources[0].rows++
    record.inputs[2].path = `${record.inputs[2].path}x`
    await writeFile(join(folder, path), JSON.stringify(record))
    const { faults } = await verified()
    expect(faults).to.include(`${path}: ${record.inputs[1].path} was made of other records`)
    expect(faults).to.include(`${path}: ${record.inputs[2].path} was not of the lake any more`)
    const refused = await compact().catch((error) => error)
    expect(refused).to.have.property('code', 'configuration_invalid')
  })

  it('takes no file for right whose bytes are others than were put', async () => {
    const [first] = await filesOf('requests')
    await writeFile(
      join(folder, first!),
      await readFile(join(folder, (await filesOf('requests'))[1]!)),
    )
    const refused = await compact().catch((error) => error)
    expect(refused.message).to.contain(`${first} has other bytes than were put`)
  })
})

/** The same, each operation after as many turns as chance will have it. */
function slowed(store: ObjectStore, random: ReturnType<typeof createRandom>): ObjectStore {
  const wait = async () => {
    for (let turns = Math.floor(random() * 30); turns > 0; turns--) await turn()
  }
  return {
    ...store,
    create: async (...put) => {
      await wait()
      return store.create(...put)
    },
    get: async (path) => {
      await wait()
      return store.get(path)
    },
    remove: async (path) => {
      await wait()
      return store.remove(path)
    },
  }
}
