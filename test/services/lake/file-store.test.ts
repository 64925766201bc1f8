import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { LensError } from '../../../services/core/errors.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'

const PATH = 'requests/date=2025-11-24/hour=10/a-0-1.parquet'

async function failureOf(work: Promise<unknown>): Promise<LensError> {
  const error = await work.then(
    () => null,
    (fault: unknown) => fault,
  )
  expect(error).to.be.instanceOf(LensError)
  return error as LensError
}

describe('lake/file-store', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-store-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('makes the folders and writes the file whole', async () => {
    const store = createFileStore(join(folder, 'lake'))
    expect(store.describe).to.equal(`file://${folder}/lake`)
    const bytes = new Uint8Array(300_000).map((_, i) => i % 251)
    await store.create(PATH, bytes)
    expect(new Uint8Array(await readFile(join(folder, 'lake', PATH)))).to.deep.equal(bytes)
  })

  it('puts nothing over a file, and gives what is there when it is other', async () => {
    const store = createFileStore(folder)
    expect(await store.create(PATH, Buffer.from('first'))).to.equal(null)
    expect(await store.create(PATH, Buffer.from('first'))).to.equal(null)
    const there = await store.create(PATH, Buffer.from('second'))
    expect(Buffer.from(there!).toString()).to.equal('first')
    expect(await readFile(join(folder, PATH), 'utf8')).to.equal('first')
    expect(await readdir(join(folder, PATH, '..'))).to.deep.equal(['a-0-1.parquet'])
  })

  it('lets one of many win who put the same name at once', async () => {
    const store = createFileStore(folder)
    const contents = Array.from({ length: 20 }, (_, i) => `content ${i}`)
    const there = await Promise.all(contents.map((one) => store.create(PATH, Buffer.from(one))))
    const winner = await readFile(join(folder, PATH), 'utf8')
    expect(there.filter((bytes) => bytes === null)).to.have.length(1)
    expect(contents.filter((_, i) => there[i] === null)).to.deep.equal([winner])
  })

  it('reads and lists what is there, and what is not', async () => {
    const store = createFileStore(folder)
    await store.create(PATH, Buffer.from('abc'))
    await store.create('_ranges/t/0/1.json', Buffer.from('{}'))
    expect(Buffer.from((await store.get(PATH))!).toString()).to.equal('abc')
    expect(await store.get('requests/none.parquet')).to.equal(null)
    const listed = async (prefix: string) => {
      const found = []
      for await (const object of store.list(prefix)) found.push(object)
      return found
    }
    // What is being written, or was when its writer was killed, is no file yet.
    await writeFile(join(folder, PATH, '../.b.parquet.x.tmp'), 'half')
    expect(await listed('requests/')).to.deep.equal([{ path: PATH, bytes: 3 }])
    expect(await listed('')).to.have.length(2)
    await store.remove('_ranges/t/0/1.json')
    await store.remove('_ranges/t/0/1.json')
    expect(await listed('')).to.have.length(1)
    expect(
      await createFileStore(join(folder, 'none')).list('')[Symbol.asyncIterator]().next(),
    ).to.deep.equal({
      ...{ done: true, value: undefined },
    })
  })

  it('never shows a part of a file to a reader', async () => {
    const store = createFileStore(folder)
    const contents = ['a', 'b', 'c'].map((letter) => letter.repeat(400_000))
    let isWriting = true
    const writers = contents.map((content) => store.create(PATH, Buffer.from(content)))
    const seen = (async () => {
      let reads = 0
      for (; isWriting; reads++) {
        const read = await store.get(PATH)
        if (read) expect(contents.includes(Buffer.from(read).toString())).to.equal(true)
      }
      return reads
    })()
    await Promise.all(writers)
    isWriting = false
    expect(await seen).to.be.above(0)
  })

  it('says that a file stands where a folder should be, and that a person must act', async () => {
    await writeFile(join(folder, 'requests'), '')
    const error = await failureOf(createFileStore(folder).create(PATH, Buffer.from('x')))
    expect(error).to.deep.include({ code: 'store_unavailable', retryable: false })
    expect(error.message).to.match(/cannot write .*a-0-1\.parquet: a file stands where a folder/)
    expect(error.cause).to.be.instanceOf(Error)
  })

  it('takes its temporary file away when it cannot be named', async () => {
    const store = createFileStore(folder)
    await store.create(`${PATH}/inner`, Buffer.from('x'))
    const error = await failureOf(store.create(PATH, Buffer.from('x')))
    expect(error.message).to.contain('a folder stands where the file should be')
    expect(await readdir(join(folder, PATH, '..'))).to.deep.equal(['a-0-1.parquet'])
  })
})
