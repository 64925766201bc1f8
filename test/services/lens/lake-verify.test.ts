import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { LakeRange } from '../../../services/exporter/lake-range.ts'
import { createRangeSink, writeRange } from '../../../services/exporter/range-writer.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'
import { markerPath } from '../../../services/lake/range-marker.ts'
import { verifyLake } from '../../../services/lens/lake-verify.ts'
import { bytesOf, ended, give, processorOf, running, whole } from '../exporter/lake-log.ts'

describe('lens/lake-verify', () => {
  let folder: string
  let ranges: readonly LakeRange[]

  /** Three ranges of one partition: the second one has no request. */
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-verify-'))
    const processor = processorOf()
    const log = [ended(7, 0), ended(8, 0), running(9, 60_000), ended(10, 120_000)]
    ranges = [...give(processor, log).effects, ...whole(processor.onDrain()).effects]
    for (const range of ranges) await write(range)
  })
  afterEach(() => rm(folder, { recursive: true }))

  async function write(range: LakeRange): Promise<void> {
    const encode: Parameters<typeof createRangeSink>[1] = async (...file) => bytesOf(...file)
    await writeRange(range, createRangeSink(createFileStore(folder), encode))
  }

  const verified = () => verifyLake(createFileStore(folder), () => {})
  const faults = async () => (await verified()).faults
  const pathOf = (range: number, file = 0) => ranges[range]!.files[file]!.path

  it('sums up a lake in which nothing is wrong', async () => {
    const { totals, faults } = await verified()
    expect(faults).to.deep.equal([])
    const place = { topic: 'lens.token-events', partition: 0, from: 7, to: 11, ranges: 3 }
    expect(totals.map(({ bytes, ...rest }) => rest)).to.deep.equal([
      { dataset: 'requests', ...place, files: 2, rows: 3 },
      { dataset: 'token_events', ...place, files: 3, rows: 4 },
    ])
  })

  it('names a range that is not there, and one that is there twice', async () => {
    await rm(join(folder, markerPath(ranges[1]!.range)))
    expect(await faults()).to.deep.equal([
      'lens.token-events-0: no range holds [9, 10)',
      `${pathOf(1)}: no marker names it`,
    ])
    const wide = { ...ranges[1]!.range, to: 11 }
    const marker = { ...wide, ...ranges[1]!.cut, ...ranges[1]!.counts, files: [] }
    await createFileStore(folder).create(markerPath(wide), Buffer.from(JSON.stringify(marker)))
    expect((await faults())[0]).to.equal('lens.token-events-0: two ranges hold [10, 11)')
  })

  it('takes a gap for right where an exporter began anew', async () => {
    const [later] = give(processorOf(), [ended(50, 0), ended(51, 60_000)]).effects
    await write(later!)
    expect(await faults()).to.deep.equal([])
  })

  it('names a file that is lost, of other bytes, or that nobody has put', async () => {
    await rm(join(folder, pathOf(0)))
    const other = await readFile(join(folder, pathOf(2)))
    await writeFile(join(folder, pathOf(2)), other.subarray(0, -1))
    const stray = pathOf(0).replace('0007.', '0008.')
    await createFileStore(folder).create(stray, other)
    expect(await faults()).to.deep.equal([
      `${pathOf(0)}: it is not there`,
      `${pathOf(2)}: other bytes were put`,
      `${stray}: no marker names it`,
    ])
  })

  it('says that there is no marker at all, whatever else there is', async () => {
    await rm(join(folder, '_ranges'), { recursive: true })
    expect((await faults())[0]).to.match(/has no range marker: is it the lake\?$/)
    const nothing = await verifyLake(createFileStore(join(folder, 'nowhere')), () => {})
    expect(nothing.faults).to.have.length(1)
  })

  it('takes one range beyond the markers for the one that is being written, no more', async () => {
    await rm(join(folder, markerPath(ranges[1]!.range)))
    await rm(join(folder, markerPath(ranges[2]!.range)))
    expect(await faults()).to.deep.equal([`${pathOf(1)}: no marker names it`])
  })

  it('does not look at what is being written', async () => {
    const next = pathOf(2).replace('0010.', '0011.')
    await createFileStore(folder).create(next, Buffer.from('half of a range'))
    expect(await faults()).to.deep.equal([])
  })

  it('names a marker that is none, and a file whose rows are of another range', async () => {
    const path = join(folder, markerPath(ranges[1]!.range))
    const marker = JSON.parse(await readFile(path, 'utf8'))
    const requests = ranges[0]!.files.find(({ dataset }) => dataset === 'requests')!
    const first = JSON.parse(await readFile(join(folder, markerPath(ranges[0]!.range)), 'utf8'))
    const entry = first.files.find(({ dataset }: { dataset: string }) => dataset === 'requests')
    await writeFile(path, JSON.stringify({ ...marker, files: [...marker.files, entry] }))
    expect(await faults()).to.deep.equal([
      `${requests.path}: the row of offset 7 does not belong there`,
    ])
    await writeFile(path, '{}')
    expect((await faults())[0]).to.equal(`${markerPath(ranges[1]!.range)}: it is no range marker`)
  })
})
