import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createRangeSink, writeRange } from '../../../services/exporter/range-writer.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'
import type { ObjectStore } from '../../../services/lake/store.ts'
import { expireLake } from '../../../services/lens/lake-expire.ts'
import { verifyLake } from '../../../services/lens/lake-verify.ts'
import { broken, bytesOf, ended, give, processorOf, whole } from '../exporter/lake-log.ts'
import { T0_MS } from '../formats/records.ts'

const HOUR_MS = 3_600_000
/** T0 is half past an hour. */
const HOUR0_MS = T0_MS - HOUR_MS / 2

describe('lens/lake-expire', () => {
  let folder: string
  let store: ObjectStore

  /** A range of each of five hours: the second has no row, the fourth a late one of the first. */
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-expire-'))
    store = createFileStore(folder)
    const at = (hours: number) => ({ started_at: (T0_MS + hours * HOUR_MS) * 1000 })
    const log = [
      ended(0, 0, at(0)),
      broken(1, 1 * HOUR_MS),
      ended(2, 2 * HOUR_MS, at(2)),
      ended(3, 3 * HOUR_MS, at(3)),
      ended(4, 3 * HOUR_MS, at(0)),
      ended(5, 4 * HOUR_MS, at(4)),
    ]
    const processor = processorOf()
    const ranges = [...give(processor, log).effects, ...whole(processor.onDrain()).effects]
    const sink = createRangeSink(store, async (...file) => bytesOf(...file))
    for (const range of ranges) await writeRange(range, sink)
  })
  afterEach(() => rm(folder, { recursive: true }))

  async function left(): Promise<string[]> {
    return (await readdir(folder, { recursive: true })).sort()
  }

  const expire = (hours: number, isMeant = true) =>
    expireLake(store, HOUR0_MS + hours * HOUR_MS, isMeant, () => {})
  const faults = async () => (await verifyLake(store, () => {})).faults

  it('only says what it would remove', async () => {
    const before = await left()
    expect(await expire(3, false)).to.deep.include({ files: 6, markers: 3 })
    expect(await left()).to.deep.equal(before)
  })

  it('removes files of hours that are over, and markers of which nothing is left', async () => {
    const { files, markers, bytes } = await expire(3)
    expect({ files, markers }).to.deep.equal({ files: 6, markers: 3 })
    expect(bytes).to.be.above(6_000)
    expect(await faults()).to.deep.equal([])
    const { totals } = await verifyLake(store, () => {})
    expect(totals.map(({ dataset, from, to, rows }) => [dataset, from, to, rows])).to.deep.equal([
      ['requests', 3, 6, 2],
      ['token_events', 3, 6, 2],
    ])
    expect(await expire(3)).to.deep.equal({ files: 0, markers: 0, bytes: 0 })
  })

  it("touches nothing that is not the lake's", async () => {
    const others = [
      'other/sales/date=2020-01-01/hour=03/part-0.parquet',
      'requests/date=2020-01-01/hour=03/part-0.parquet',
      'backup/requests/date=2020-01-01/hour=03/lens.token-events-0-00000000000000000000.parquet',
      'requests/date=2020-01-01/hour=03/lens.aggregates-0-00000000000000000000.parquet',
    ]
    for (const path of others) await store.create(path, Buffer.from('x'))
    expect(await expire(3)).to.deep.include({ files: 6 })
    for (const path of others) expect(await store.get(path), path).not.to.equal(null)
  })

  it('refuses what has no marker, or one that cannot be read, and removes nothing', async () => {
    const before = await left()
    const path = '_ranges/lens.token-events/0/00000000000000000001.json'
    const failing: ObjectStore = {
      ...store,
      get: (name) => (name === path ? Promise.resolve(Buffer.from('{}')) : store.get(name)),
    }
    const empty: ObjectStore = { ...store, async *list() {} }
    for (const one of [failing, empty]) {
      const error = await expireLake(one, HOUR0_MS + 3 * HOUR_MS, true, () => {}).catch(
        (why) => why,
      )
      expect(error).to.have.property('code', 'configuration_invalid')
    }
    const away: ObjectStore = { ...store, get: () => Promise.reject(new Error('busy')) }
    const busy = await expireLake(away, HOUR0_MS + 3 * HOUR_MS, true, () => {}).catch((why) => why)
    expect(busy.message).to.equal('busy')
    expect(await left()).to.deep.equal(before)
  })

  it('keeps the last marker of a partition, which says how far its log was written', async () => {
    expect(await expire(100)).to.deep.include({ markers: 4 })
    expect(await faults()).to.deep.equal([])
  })

  it('can be looked at while it goes on', async () => {
    let isBegun = false
    const watched: ObjectStore = {
      ...store,
      async get(path) {
        if (path.endsWith('.parquet') && !isBegun) {
          isBegun = true
          await expire(3)
        }
        return store.get(path)
      },
    }
    expect((await verifyLake(watched, () => {})).faults).to.deep.equal([])
    expect(isBegun).to.equal(true)
  })

  it('keeps an hour that is not over yet', async () => {
    expect(await expire(0.99)).to.deep.include({ files: 0, markers: 0 })
    expect(await expire(1)).to.deep.include({ files: 4, markers: 1 })
    expect(await faults()).to.deep.equal([])
  })

  it('leaves a lake that can be verified wherever it is broken off', async () => {
    for (let steps = 0; steps < 9; steps++) {
      let n = 0
      const failing: ObjectStore = {
        ...store,
        remove: (path) => (n++ < 1 ? store.remove(path) : Promise.reject(new Error('broken off'))),
      }
      await expireLake(failing, HOUR0_MS + 3 * HOUR_MS, true, () => {}).catch(() => {})
      expect(await faults(), `after ${steps + 1}`).to.deep.equal([])
    }
    expect(await expire(3)).to.deep.equal({ files: 0, markers: 0, bytes: 0 })
  })

  it('is still missed when a file is gone that has not expired', async () => {
    await expire(3)
    for await (const { path } of store.list('requests/')) await store.remove(path)
    expect((await faults()).filter((fault) => fault.endsWith('it is not there'))).to.have.length(2)
  })

  it('removes again what a late put brings back', async () => {
    const paths: string[] = []
    for await (const { path } of store.list('requests/')) paths.push(path)
    const first = paths.sort()[0]!
    const bytes = (await store.get(first))!
    await expire(3)
    await store.create(first, bytes)
    expect(await faults()).to.deep.equal([])
    expect(await expire(3)).to.deep.include({ files: 1 })
  })
})
