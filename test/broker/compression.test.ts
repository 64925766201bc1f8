import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { installPart, isInstalled } from '../../infra/local/install.ts'
import { kafka } from '../../infra/local/kafka.ts'
import { checkTools } from '../../infra/local/tools.ts'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import type { Bus } from '../../services/bus/port.ts'
import { UNPACK, type Unpack } from '../../services/bus/unpack.ts'
import { createRandom } from '../../services/core/random.ts'
import { pythonWith } from '../services/formats/python.ts'
import { fresh, join, newTopic, until } from './bus-under-test.ts'
import { ENVIRONMENT_TIMEOUT_MS, testEnvironment } from './environment.ts'

const run = promisify(execFile)
const HERE = new URL('./', import.meta.url).pathname
const CONFLUENT_KAFKA = 'confluent-kafka==2.16.1'
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** A batch holds many of the blocks of each codec, none larger than 64 KiB. */
const BATCH_BYTES_LEAST = 400_000

/** About 4 MB: noise, texts and zeros, from empty values to ones longer than a block. */
function makeValues(): Buffer[] {
  const random = createRandom(11)
  return Array.from({ length: 240 }, (_, i) => {
    const size = i % 40 === 0 ? 150_000 : Math.floor(random() * 20_000)
    if (i % 3 === 0) return Buffer.alloc(size, `record ${i} of some length, `)
    if (i % 60 === 1) return Buffer.alloc(size)
    return Buffer.from(Uint8Array.from({ length: i % 50 === 2 ? 0 : size }, () => random() * 256))
  })
}

/** Runs a producer over all codecs; gives it the file of values and its targets. */
type Producer = (brokers: string, file: string, targets: readonly string[]) => Promise<unknown>

const PRODUCERS: Record<string, Producer> = {
  async 'Apache (Java)'(brokers, file, targets) {
    const say = (line: string) => process.stderr.write(`    ${line}\n`)
    const java = await checkTools([kafka], isInstalled)
    const home = await installPart(kafka, say)
    const options = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', `${home}/libs/*`]
    return run(java, [...options, `${HERE}java-producer.java`, brokers, file, ...targets])
  },
  async 'librdkafka (Python)'(brokers, file, targets) {
    const python = await pythonWith([CONFLUENT_KAFKA])
    return run(python, [`${HERE}python_producer.py`, brokers, file, ...targets])
  },
}

/** Counts, for each compression by its number, the sizes of what is unpacked. */
function watchUnpacking(): Map<number, number[]> {
  const sizes = new Map<number, number[]>()
  const watched = UNPACK as Record<number, Unpack>
  for (const number of [1, 2, 3, 4]) {
    const own = watched[number]!
    const seen: number[] = []
    sizes.set(number, seen)
    watched[number] = async (bytes, bytesMax) => {
      const plain = await own(bytes, bytesMax)
      seen.push(plain.length)
      return plain
    }
  }
  return sizes
}

describe('broker/compression', function () {
  this.timeout(60_000)
  const values = makeValues()
  const decompressed = watchUnpacking()
  let bus: Bus
  let brokers: string
  let folder: string
  let file: string
  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    const { env } = await testEnvironment()
    brokers = env.KAFKA_BROKERS!
    bus = createKafkaBus({ brokers: brokers.split(','), clientId: 'lens-test', log: () => {} })
    folder = await mkdtemp(joinPath(tmpdir(), 'lens-compression-'))
    file = joinPath(folder, 'values')
    const framed = values.flatMap((value) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(value.length)
      return [length, value]
    })
    await writeFile(file, Buffer.concat(framed))
  })
  after(async () => {
    await bus?.close()
    if (folder) await rm(folder, { recursive: true })
  })

  for (const [client, produce] of Object.entries(PRODUCERS)) {
    describe(`by ${client}`, () => {
      const topics = new Map<string, string>()
      before(async function () {
        this.timeout(ENVIRONMENT_TIMEOUT_MS)
        for (const codec of CODECS) topics.set(codec, await newTopic(bus, 1))
        await produce(
          brokers,
          file,
          [...topics].map((target) => target.join('=')),
        )
      })

      for (const [number, codec] of CODECS.entries()) {
        it(`is read byte for byte: ${codec}`, async () => {
          for (const seen of decompressed.values()) seen.length = 0
          const member = await join(bus, fresh('group'), [topics.get(codec)!], async () => {})
          const count = () => member.batches.reduce((sum, { records }) => sum + records.length, 0)
          await until('all are read', () => count() >= values.length)
          await member.source.stop()
          const records = member.batches.flatMap((batch) => batch.records)
          expect(records.map(({ offset }) => offset)).to.deep.equal([...values.keys()])
          const wrong = records.filter(({ value }, i) => !values[i]!.equals(value as Buffer))
          expect(wrong.map(({ offset }) => offset)).to.deep.equal([])
          for (const [used, sizes] of decompressed) {
            if (used === number) expect(Math.max(...sizes)).to.be.greaterThan(BATCH_BYTES_LEAST)
            else expect(sizes, `codec ${used} was used`).to.deep.equal([])
          }
        })
      }
    })
  }
})
