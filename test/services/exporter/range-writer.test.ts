import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'chai'
import type { LensError } from '../../../services/core/errors.ts'
import type { LakeRange } from '../../../services/exporter/lake-range.ts'
import { createParquetThread } from '../../../services/exporter/parquet-thread.ts'
import {
  createRangeSink,
  type EncodeFile,
  writeRange,
} from '../../../services/exporter/range-writer.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { parquetRows } from '../../../services/formats/parquet-format.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'
import { markerPath, type RangeMarker } from '../../../services/lake/range-marker.ts'
import { sampleRows } from '../formats/sample-file.ts'
import { bytesOf, ended, give, processorOf } from './lake-log.ts'

const inThisThread: EncodeFile = async (file, range) => bytesOf(file, range)

/** The first range of these records of the first minute. */
function rangeOf(offsets: readonly number[], from?: number): LakeRange {
  const last = ended(offsets.at(-1)! + 1, 60_000)
  return give(processorOf({}, from), [...offsets.map((at) => ended(at, 0)), last]).effects[0]!
}

describe('exporter/range-writer', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-range-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const write = (range: LakeRange, encode = inThisThread) =>
    writeRange(range, createRangeSink(createFileStore(folder), encode))

  async function markerOf({ range }: LakeRange): Promise<RangeMarker> {
    return JSON.parse(await readFile(join(folder, markerPath(range)), 'utf8'))
  }

  async function filesIn(): Promise<string[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
  }

  it('puts every file, and behind them a marker that names them', async () => {
    const range = rangeOf([0, 1])
    await write(range)
    expect(range.files.map(({ dataset }) => dataset)).to.deep.equal(['token_events', 'requests'])
    for (const file of range.files) {
      const bytes = await readFile(join(folder, file.path))
      expect(bytes.equals(bytesOf(file, range.range)), file.path).to.equal(true)
    }
    const { files, ...marker } = await markerOf(range)
    expect(marker).to.deep.equal({ ...range.range, ...range.cut, ...range.counts })
    expect(files.map(({ path, rows }) => [path, rows])).to.deep.equal(
      range.files.map(({ path, rows }) => [path, rows.length]),
    )
  })

  it('puts a marker for a range without rows', async () => {
    const range = { ...rangeOf([0]), files: [] }
    await write(range)
    expect(await filesIn()).to.deep.equal(['00000000000000000000.json'])
  })

  it('changes nothing when it is done again, however far it came before', async () => {
    const range = rangeOf([0, 1])
    await write({ ...range, files: range.files.slice(0, 1) }).catch(() => {})
    await rm(join(folder, markerPath(range.range)))
    await write(range)
    const before = await markerOf(range)
    await write(range)
    expect(await markerOf(range)).to.deep.equal(before)
    expect(await filesIn()).to.have.length(3)
  })

  it('lets a file of the same range stand that holds other bytes, and names what it holds', async () => {
    const range = rangeOf([0, 1])
    await write(range)
    await rm(join(folder, markerPath(range.range)))
    // Retention has taken the first record since.
    const less = range.files.map((file) => ({ ...file, rows: file.rows.slice(1) }))
    await write({ ...range, files: less })
    expect((await markerOf(range)).files.map(({ rows }) => rows)).to.deep.equal([2, 2])
  })

  it('refuses to go on when a file or a marker of another range has the name', async () => {
    await write(rangeOf([0, 1]))
    const error = (await write(rangeOf([0, 1, 2])).catch((fault) => fault)) as LensError
    expect(error).to.deep.include({ code: 'lake_conflict', retryable: false })
    expect(error.message).to.match(/holds the offsets \[0, 2\) and not \[0, 3\): another exporter/)
    const bare = await write({ ...rangeOf([0, 1, 2]), files: [] }).catch((fault) => fault)
    expect(bare).to.have.property('code', 'lake_conflict')
    expect(await filesIn()).to.have.length(3)
  })

  it('makes a large file in turns: the same bytes each time, every row in it', async () => {
    const range = { topic: 'lens.token-events', partition: 0, from: 0, to: 10_000 }
    const requests = datasetNamed('requests')
    const model = requests.columns.findIndex(({ name }) => name === 'model')
    // Other labels in each turn, and more of them than in one.
    const rows = sampleRows(10_000).map((cells, i) => cells.with(model, `m-${(i * 7_919) % 3_001}`))
    const encode = createParquetThread()
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const file = { path: '', dataset: 'requests', rows }
    const made = [await encode(file, range), await encode(file, range)]
    clearInterval(timer)
    expect(Buffer.from(made[0]!).equals(made[1]!)).to.equal(true)
    const back = parquetRows(requests, made[0]!)
    expect(back.every((cells, i) => isDeepStrictEqual(cells, rows[i]))).to.equal(true)
    expect(back).to.have.length(10_000)
    expect(turns).to.be.above(4)
  }).timeout(30_000)

  it('makes the same bytes in a thread of its own, several at a time', async () => {
    const encode = createParquetThread()
    const { range, files } = rangeOf([0, 1])
    const made = await Promise.all([...files, ...files].map((file) => encode(file, range)))
    const here = [...files, ...files].map((file) => bytesOf(file, range))
    expect(
      made.map((bytes) => Buffer.from(bytes).equals(here[made.indexOf(bytes)]!)),
    ).to.deep.equal(Array(4).fill(true))
  }).timeout(30_000)
})
