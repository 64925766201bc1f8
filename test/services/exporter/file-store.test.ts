import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { LensError } from '../../../services/core/errors.ts'
import { createFileStore } from '../../../services/exporter/file-store.ts'

const PATH = 'requests/date=2025-11-24/hour=10/a-0-1.parquet'

async function failureOf(work: Promise<unknown>): Promise<LensError> {
  const error = await work.then(
    () => null,
    (fault: unknown) => fault,
  )
  expect(error).to.be.instanceOf(LensError)
  return error as LensError
}

describe('exporter/file-store', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-store-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('makes the folders and writes the file whole', async () => {
    const store = createFileStore(join(folder, 'lake'))
    expect(store.describe).to.equal(`file://${folder}/lake`)
    const bytes = new Uint8Array(300_000).map((_, i) => i % 251)
    await store.put(PATH, bytes)
    expect(new Uint8Array(await readFile(join(folder, 'lake', PATH)))).to.deep.equal(bytes)
  })

  it('replaces a file, and leaves nothing else behind', async () => {
    const store = createFileStore(folder)
    await store.put(PATH, Buffer.from('first, and longer'))
    await store.put(PATH, Buffer.from('second'))
    expect(await readFile(join(folder, PATH), 'utf8')).to.equal('second')
    expect(await readdir(join(folder, PATH, '..'))).to.deep.equal(['a-0-1.parquet'])
  })

  it('never shows a part of a file to a reader', async () => {
    const store = createFileStore(folder)
    const contents = ['a', 'b', 'c'].map((letter) => letter.repeat(400_000))
    await store.put(PATH, Buffer.from(contents[0]!))
    let isWriting = true
    const writers = contents.map(async (content) => {
      for (let i = 0; i < 5; i++) await store.put(PATH, Buffer.from(content))
    })
    const seen = (async () => {
      let reads = 0
      for (; isWriting; reads++) {
        expect(contents.includes(await readFile(join(folder, PATH), 'utf8'))).to.equal(true)
      }
      return reads
    })()
    await Promise.all(writers)
    isWriting = false
    expect(await seen).to.be.above(0)
  })

  it('says that a file stands where a folder should be, and that a person must act', async () => {
    await writeFile(join(folder, 'requests'), '')
    const error = await failureOf(createFileStore(folder).put(PATH, Buffer.from('x')))
    expect(error).to.deep.include({ code: 'store_unavailable', retryable: false })
    expect(error.message).to.match(/cannot write .*a-0-1\.parquet: a file stands where a folder/)
    expect(error.cause).to.be.instanceOf(Error)
  })

  it('takes its temporary file away when the rename fails', async () => {
    const store = createFileStore(folder)
    await store.put(`${PATH}/inner`, Buffer.from('x'))
    const error = await failureOf(store.put(PATH, Buffer.from('x')))
    expect(error.message).to.contain('a folder stands where the file should be')
    expect(await readdir(join(folder, PATH, '..'))).to.deep.equal(['a-0-1.parquet'])
  })
})
