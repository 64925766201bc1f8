/** Scenario S9 of the failure matrix: what S3 does to a range that is being written. */
import { expect } from 'chai'
import type { LensError } from '../../../services/core/errors.ts'
import type { LakeRange } from '../../../services/exporter/lake-range.ts'
import {
  createRangeSink,
  type EncodeFile,
  writeRange,
} from '../../../services/exporter/range-writer.ts'
import { createS3Store } from '../../../services/lake/s3-store.ts'
import type { ObjectStore } from '../../../services/lake/store.ts'
import { verifyLake } from '../../../services/lens/lake-verify.ts'
import { type S3Double, type S3Fault, startS3Double } from '../lake/s3-double.ts'
import { bytesOf, ended, give, processorOf } from './lake-log.ts'

const FAULTS: readonly S3Fault[] = [429, 500, 503, 409, 'reset', 'lost', 'hang', 'error in 200']
/** The puts of a range: its first file, its last, its marker. */
const PUTS = { 'first file': /token_events\//, 'last file': /requests\//, marker: /_ranges\// }
/** The client itself tries three times. */
const TIMES = [1, 2, 4]
/** Between these, another writer of the same range has come and gone. */
const OVERLAPS: readonly S3Fault[] = ['lost', 'reset', 'error in 200']

const encode: EncodeFile = async (file, range) => bytesOf(file, range)

function rangeOf(...offsets: readonly number[]): LakeRange {
  const last = ended(offsets.at(-1)! + 1, 60_000)
  return give(processorOf(), [...offsets.map((offset) => ended(offset, 0)), last]).effects[0]!
}

describe('exporter: a range and a failing S3', function () {
  this.timeout(120_000)
  let server: S3Double
  const range = rangeOf(3, 4, 5)
  const names = [
    ...range.files.map(({ path }) => path),
    '_ranges/lens.token-events/0/00000000000000000003.json',
  ]

  beforeEach(async () => {
    server = await startS3Double()
  })
  afterEach(() => server.stop())

  function storeOf(): ObjectStore {
    const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' }
    const env = { AWS_ENDPOINT_URL_S3: server.url, ...keys }
    return createS3Store({ bucket: 'lake', prefix: '', env, requestMs: 100 })
  }

  /** As the runner does: what may pass is done again, whole. */
  async function write(what: LakeRange = range, store = storeOf()): Promise<void> {
    for (let left = 10; ; left--) {
      try {
        return await writeRange(what, createRangeSink(store, encode))
      } catch (error) {
        if (!(error as LensError).retryable || left === 0) throw error
      }
    }
  }

  /** What an undisturbed writer would have left, and nothing else. */
  async function expectWhole(): Promise<void> {
    const there = [...server.objects.keys()].map((name) => name.slice('lake/'.length))
    expect(there.sort()).to.deep.equal([...names].sort())
    for (const file of range.files) {
      const bytes = server.objects.get(`lake/${file.path}`)!
      expect(bytes.equals(bytesOf(file, range.range)), file.path).to.equal(true)
    }
    const listed: ObjectStore = {
      ...storeOf(),
      async *list(prefix) {
        for (const path of names) if (path.startsWith(prefix)) yield { path, bytes: 0 }
      },
    }
    const { totals, faults } = await verifyLake(listed, () => {})
    expect(faults).to.deep.equal([])
    expect(totals.map(({ rows }) => rows)).to.deep.equal([3, 3])
  }

  for (const fault of FAULTS) {
    for (const [put, name] of Object.entries(PUTS)) {
      for (const times of TIMES) {
        it(`leaves the same files after ${fault} on the ${put}, ${times} times`, async () => {
          server.fail(name, Array(times).fill(fault))
          await write()
          await expectWhole()
        })
      }
    }
  }

  for (const fault of OVERLAPS) {
    for (const [put, name] of Object.entries(PUTS)) {
      it(`lets two writers overlap, with ${fault} on the ${put}`, async () => {
        server.fail(name, [fault, fault])
        await Promise.all([write(), write()])
        await expectWhole()
      })

      it(`refuses another range of that beginning, with ${fault} on the ${put}`, async () => {
        await write()
        server.fail(name, [fault])
        const refused = await write(rangeOf(3, 4)).catch((error) => error)
        expect(refused).to.deep.include({ code: 'lake_conflict', retryable: false })
        await expectWhole()
      })
    }
  }

  it('is 72 and 18 cases', () => {
    const puts = Object.keys(PUTS).length
    expect(FAULTS.length * puts * TIMES.length).to.equal(72)
    expect(OVERLAPS.length * puts * 2).to.equal(18)
  })
})
