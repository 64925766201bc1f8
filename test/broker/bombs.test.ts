import { readFileSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { expect } from 'chai'
import kafkajs, { type Producer } from 'kafkajs'
import type { DeadLetter, WindowSlice } from '../../schemas/records.ts'
import { DEAD_LETTERS, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import { PACK } from '../../services/bus/record-batch-writer.ts'
import { wholeRequest } from '../records.ts'
import { recordHead } from '../services/bus/batch-bytes.ts'
import { until } from './bus-under-test.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { testEnvironment } from './environment.ts'
import { type ServiceProcess, startService } from './processes.ts'

const { GZIP } = kafkajs.CompressionTypes
const GIB = 2 ** 30
const MIB = 2 ** 20
const GROWTH_BYTES_MOST = 256 * MIB

/** Batches that are small on the wire and in the log, and far too large in memory. */
describe('broker/bombs', function () {
  this.timeout(60_000)
  let cluster: Cluster
  let windowing: ServiceProcess
  let producer: Producer
  let goodRecords = 0
  let bytes = 0

  before(async function () {
    this.timeout(300_000)
    const { env } = await testEnvironment()
    cluster = await openCluster(env, 1)
    const createPartitioner = kafkajs.Partitioners.DefaultPartitioner
    producer = cluster.kafka.producer({ createPartitioner })
    await producer.connect()
    windowing = await startService('windowing', env)
    await sendGood()
    await until('it is warm', async () => (await counted()) === goodRecords)
    bytes = memoryBytes('VmRSS')
  })
  after(async () => {
    await windowing?.end('SIGTERM')
    await producer?.disconnect()
    await cluster?.close()
  })

  /** Appends a batch as any client could; gives the offset of its first record. */
  async function send(values: readonly Buffer[], compression = 0): Promise<number> {
    const messages = values.map((value) => ({ value, partition: 0 }))
    const [row] = await producer.send({ topic: TOKEN_EVENTS, messages, compression })
    return Number(row!.baseOffset)
  }

  async function sendGood(): Promise<void> {
    goodRecords++
    const started_at = Date.now() * 1000
    const events = wholeRequest({ request_id: `good-${goodRecords}`, started_at })
    await send([Buffer.from(cluster.codec.encode(TOKEN_EVENTS, events))])
  }

  /** Requests that windowing has counted for the whole fleet. */
  async function counted(): Promise<number> {
    const rows = await cluster.readTopic<WindowSlice>(WINDOW_SLICES)
    const fleet = rows.filter(({ series }) => series && Object.keys(series).length === 0)
    return fleet.flatMap((row) => row.slices).reduce((sum, { requests }) => sum + requests, 0)
  }

  function memoryBytes(name: 'VmRSS' | 'VmHWM'): number {
    const status = readFileSync(`/proc/${windowing.child.pid}/status`, 'utf8')
    return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]) * 1024
  }

  /** The one dead letter of the batch, when what came after it has been counted. */
  async function letterOf(from: number, records: number): Promise<void> {
    await sendGood()
    await until('the good one after it is counted', async () => {
      expect(windowing.child.exitCode, windowing.output()).to.equal(null)
      return (await counted()) === goodRecords
    })
    const last = from + records - 1
    const all = await cluster.readTopic<DeadLetter>(DEAD_LETTERS)
    const found = all.filter(({ offset }) => offset >= from)
    expect(found.map(({ offset, reason }) => ({ offset, reason }))).to.deep.equal([
      { offset: last, reason: 'batch_too_large' },
    ])
    expect(found[0]!.detail).to.include(`offsets ${from} to ${last}`)
    expect(found[0]!.value).to.equal(null)
    expect(memoryBytes('VmHWM') - bytes).to.be.lessThan(GROWTH_BYTES_MOST)
  }

  it('passes over a megabyte of gzip that holds a gigabyte, in one dead letter', async () => {
    const bomb = await gzipBomb([GIB / 2, GIB / 2])
    expect(bomb.length).to.be.lessThan(1.1 * MIB)
    await letterOf(await withGzip(bomb, () => send([Buffer.of(1), Buffer.of(2)], GZIP)), 2)
  })

  it('takes a hundred batches of 8 MiB, each of a few kilobytes, a few at a time', async () => {
    const bomb = await gzipBomb([8 * MIB])
    for (let i = 0; i < 100; i++) await withGzip(bomb, () => send([Buffer.of(1)], GZIP))
    await sendGood()
    await until('the good one is counted', async () => (await counted()) === goodRecords)
    expect(memoryBytes('VmHWM') - bytes).to.be.lessThan(GROWTH_BYTES_MOST)
  })
})

/** Sends with these bytes in the place of what would be compressed. */
async function withGzip<T>(bytes: Buffer, work: () => Promise<T>): Promise<T> {
  const own = PACK[GZIP]!
  PACK[GZIP] = () => bytes
  try {
    return await work()
  } finally {
    PACK[GZIP] = own
  }
}

/** Records whose values are zeros, compressed without ever being whole. */
async function gzipBomb(sizes: readonly number[]): Promise<Buffer> {
  const zeros = Buffer.alloc(MIB)
  function* records() {
    for (const [i, size] of sizes.entries()) {
      yield recordHead(i, size)
      for (let left = size; left > 0; left -= MIB) yield zeros
      yield NO_HEADERS
    }
  }
  const parts: Buffer[] = []
  await pipeline(records, createGzip({ level: 9 }), async (compressed) => {
    for await (const part of compressed) parts.push(part as Buffer)
  })
  return Buffer.concat(parts)
}

const NO_HEADERS = Buffer.of(0)
