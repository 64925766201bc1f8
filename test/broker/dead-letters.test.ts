import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import kafkajs, { type Producer } from 'kafkajs'
import type { DeadLetter, WindowSlice } from '../../schemas/records.ts'
import { DEAD_LETTERS, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import { wholeRequest } from '../records.ts'
import { until } from './bus-under-test.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { testEnvironment } from './environment.ts'
import { type Malformed, malformedRecords } from './malformed.ts'
import { type ServiceProcess, startService } from './processes.ts'

const MANY = 2_000
const GROWTH_BYTES_MOST = 96 * 1024 * 1024

describe('broker/dead-letters', function () {
  this.timeout(60_000)
  let cluster: Cluster
  let env: Record<string, string>
  let windowing: ServiceProcess
  let producer: Producer
  let sent: readonly Malformed[]
  let goodRecords = 0

  before(async function () {
    this.timeout(300_000)
    ;({ env } = await testEnvironment())
    cluster = await openCluster(env, 1)
    producer = cluster.kafka.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    windowing = await startService('windowing', env)
  })
  after(async () => {
    await windowing?.end('SIGTERM')
    await producer?.disconnect()
    await cluster?.close()
  })

  /** Appends values to the raw topic as any client could; gives the offset of the first. */
  async function send(values: readonly (Buffer | null)[], compression = 0): Promise<number> {
    const messages = values.map((value) => ({ key: 'k', partition: 0, value }))
    const [row] = await producer.send({ topic: TOKEN_EVENTS, messages, compression })
    return Number(row!.baseOffset)
  }

  function good(): Buffer {
    goodRecords++
    const events = wholeRequest({
      request_id: `good-${goodRecords}`,
      started_at: Date.now() * 1000,
    })
    return Buffer.from(cluster.codec.encode(TOKEN_EVENTS, events))
  }

  /** Requests that windowing has counted for the whole fleet, and the closed dead letters. */
  async function counted() {
    const rows = await cluster.readTopic<WindowSlice>(WINDOW_SLICES)
    const raw = rows.filter(({ source_topic }) => source_topic === TOKEN_EVENTS)
    const fleet = raw.filter(({ series }) => series && Object.keys(series).length === 0)
    const slices = fleet.flatMap((row) => row.slices)
    const closings = raw.flatMap(({ closing }) => (closing ? [closing] : []))
    return {
      requests: slices.reduce((sum, { requests }) => sum + requests, 0),
      deadLetters: closings.reduce((sum, { dead_letters }) => sum + dead_letters, 0),
    }
  }

  async function letters(): Promise<Map<number, DeadLetter>> {
    const all = await cluster.readTopic<DeadLetter>(DEAD_LETTERS)
    return new Map(all.map((letter) => [letter.offset, letter]))
  }

  function expectAlive(): void {
    expect(windowing.child.exitCode, windowing.output()).to.equal(null)
    expect(windowing.output()).not.to.match(/cannot go on|bug:/)
  }

  it('holds every malformed record, byte for byte, with its place and the reason', async () => {
    sent = malformedRecords(cluster.codec, Date.now())
    for (const { value } of sent) await send([value, good()])
    await until('all are there', async () => {
      expectAlive()
      return (await cluster.count(DEAD_LETTERS)) >= sent.length
    })
    const found = await letters()
    expect(found.size).to.equal(sent.length)
    for (const [i, { what, value, reason }] of sent.entries()) {
      const { detail, seen_at, ...letter } = found.get(i * 2)!
      const place = { topic: TOKEN_EVENTS, partition: 0, offset: i * 2, stage: 'windowing' }
      expect(letter.value === null ? value === null : value?.equals(letter.value), what).to.equal(
        true,
      )
      expect({ ...letter, value: null }, what).to.deep.equal({
        ...{ ...place, reason, key: Buffer.from('k'), value: null },
      })
      expect(detail).to.be.a('string').and.not.equal('')
      expect(seen_at).to.be.within(Date.now() - 120_000, Date.now() + 5_000)
    }
  })

  it('counts the good record after each of them', async () => {
    await until('all are counted', async () => (await counted()).requests >= goodRecords)
    expect(await counted()).to.deep.equal({ requests: goodRecords, deadLetters: sent.length })
    expectAlive()
  })

  it('takes 2,000 bad records in a row and needs no more memory for it', async () => {
    const before = (await letters()).size
    const junk = Array.from({ length: 500 }, (_, i) => Buffer.alloc(5_000, `\u0000bad ${i}`))
    await send(junk)
    await until('it is warm', async () => (await letters()).size === before + 500)
    const bytes = residentBytes()
    for (let i = 0; i < MANY; i += 500) await send(junk)
    await send([good()])
    await until('all are there', async () => {
      expectAlive()
      return (await cluster.count(DEAD_LETTERS)) >= before + 500 + MANY
    })
    await until('the good one is counted', async () => (await counted()).requests === goodRecords)
    expect(residentBytes() - bytes).to.be.lessThan(GROWTH_BYTES_MOST)
    expect((await letters()).size).to.equal(before + 500 + MANY)
  })

  // The broker measures a batch as it is compressed; a dead letter is not compressed.
  it('lives on after a record that no dead letter can hold', async () => {
    const offset = await send([Buffer.alloc(6_000_000)], kafkajs.CompressionTypes.GZIP)
    await send([good()])
    await until('the good one is counted', async () => {
      expectAlive()
      return (await counted()).requests === goodRecords
    })
    expect((await letters()).get(offset)?.reason).to.equal('too_large')
  })

  function residentBytes(): number {
    const status = readFileSync(`/proc/${windowing.child.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024
  }
})
