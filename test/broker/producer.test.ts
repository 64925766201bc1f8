import { expect } from 'chai'
import kafkajs, { type Kafka, type ProducerConfig } from 'kafkajs'
import { createKafkaSink } from '../../services/bus/kafka-sink.ts'
import type { Sink } from '../../services/bus/port.ts'
import { createQueue } from '../../services/collector/queue.ts'
import { until } from './bus-under-test.ts'
import { type MockCluster, startMockCluster } from './mock-cluster.ts'

const SLOW_MS = 600
const TRIES = 5

/** About every second try shows it. */
const STOCK_TRIES = 14

function sockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
}

/** `p-0`, `p-1`, … for partition p. */
function texts(partition: number, count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `${partition}-${from + i}`)
}

describe('broker/producer', function () {
  this.timeout(40_000)
  let cluster: MockCluster
  before(async function () {
    // A first run installs the library.
    this.timeout(120_000)
    await (await startMockCluster()).close()
  })
  beforeEach(async () => {
    cluster = await startMockCluster()
  })
  afterEach(() => cluster.close())

  describe('kafkajs as it is, with one send over two leaders', () => {
    async function sendOnce(messages: { value: string; partition?: number }[]): Promise<void> {
      const producer = cluster.kafka.producer({
        idempotent: true,
        maxInFlightRequests: 1,
        createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
        retry: { initialRetryTime: 50, retries: 20 },
      })
      await producer.connect()
      await producer.send({ topic: cluster.topic, messages })
      await producer.disconnect()
    }

    it('repeats the records of a slow leader when the other one fails (F1)', async () => {
      let log: string[] = []
      for (let i = 0; i < STOCK_TRIES && log.length === new Set(log).size; i++) {
        await cluster.next(1, 'NOT_LEADER_FOR_PARTITION')
        await cluster.next(2, 'NONE', SLOW_MS)
        const messages = [0, 1].flatMap((partition) =>
          texts(partition, 3, i * 3).map((value) => ({ value, partition })),
        )
        await sendOnce(messages)
        log = await cluster.read(1)
      }
      expect(log.length, `records after ${STOCK_TRIES} tries`).to.be.greaterThan(new Set(log).size)
    })

    it('loses and repeats records that it may move to another partition (F2)', async () => {
      await cluster.next(1, 'NOT_LEADER_FOR_PARTITION')
      const values = texts(9, 7)
      await sendOnce(values.map((value) => ({ value })))
      const all = [...(await cluster.read(0)), ...(await cluster.read(1))]
      expect(new Set(all).size, all.join(' ')).to.be.lessThan(values.length)
      expect(all.length, all.join(' ')).to.be.greaterThan(new Set(all).size)
    })
  })

  describe('our sink, with one partition an append', () => {
    let sink: Sink
    beforeEach(async () => {
      sink = await createKafkaSink(cluster.kafka)
    })
    afterEach(() => sink.close())

    /** The cluster's client; its producers and what they ask for are written down. */
    function watchedKafka() {
      const made: { connected: boolean }[] = []
      const requests = new Set<string>()
      const producer = (config: ProducerConfig) => {
        const one = cluster.kafka.producer(config)
        const state = { connected: false }
        made.push(state)
        one.on('producer.connect', () => {
          state.connected = true
        })
        one.on('producer.disconnect', () => {
          state.connected = false
        })
        one.on('producer.network.request', ({ payload }) => requests.add(payload.apiName))
        return one
      }
      const open = () => made.filter(({ connected }) => connected).length
      return { kafka: { producer } as unknown as Kafka, made, requests, open }
    }

    function append(partition: number, values: readonly string[]) {
      const records = values.map((text) => ({ key: null, value: Buffer.from(text) }))
      return sink.append(cluster.topic, partition, records)
    }

    it('appends each record once when one leader fails and the other is slow', async () => {
      for (let i = 0; i < TRIES; i++) {
        await cluster.next(1, 'NOT_LEADER_FOR_PARTITION')
        await cluster.next(2, 'NONE', SLOW_MS)
        await Promise.all([append(0, texts(0, 3, i * 3)), append(1, texts(1, 3, i * 3))])
      }
      const logs = await Promise.all([cluster.read(0), cluster.read(1)])
      expect(logs).to.deep.equal([texts(0, 3 * TRIES), texts(1, 3 * TRIES)])
    })

    it('waits for a leader that fails again and again, and says where the records are', async () => {
      for (let i = 0; i < 4; i++) await cluster.next(1, 'REQUEST_TIMED_OUT')
      expect((await append(0, texts(0, 2))).baseOffset).to.equal(0)
      expect((await append(0, texts(0, 2, 2))).baseOffset).to.equal(2)
      expect(await cluster.read(0)).to.deep.equal(texts(0, 4))
    })

    it('goes on with a new producer after an answer from which no retry leads back', async () => {
      await append(0, texts(0, 1))
      await cluster.next(1, 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      const error = await append(0, texts(0, 1, 1)).catch((fault) => fault)
      expect(error).to.include({ code: 'send_outcome_unknown', retryable: true })
      await append(0, texts(0, 1, 1))
      await append(1, texts(1, 1))
      const logs = await Promise.all([cluster.read(0), cluster.read(1)])
      expect(logs).to.deep.equal([texts(0, 2), texts(1, 1)])
    })

    // A send that was given up while the client still tries would land behind what came after it.
    it('gives nothing up while it may still be appended', async () => {
      for (let i = 0; i < 4; i++) await cluster.next(1, 'NOT_LEADER_FOR_PARTITION')
      await append(0, ['old'])
      await append(0, ['new'])
      expect(await cluster.read(0)).to.deep.equal(['old', 'new'])
    })

    it('begins no further attempt when it was given up (F7)', async () => {
      for (let i = 0; i < 6; i++) await cluster.next(1, 'NOT_LEADER_FOR_PARTITION')
      const patience = new AbortController()
      const old = [{ key: null, value: Buffer.from('old') }]
      const given = sink.append(cluster.topic, 0, old, patience.signal).catch((fault) => fault)
      await new Promise((resolve) => setTimeout(resolve, 150))
      patience.abort()
      await append(0, ['new'])
      expect(await given).to.include({ code: 'send_outcome_unknown', retryable: true })
      expect(await cluster.read(0)).to.deep.equal(['new'])
    })

    // kafkajs sends to one broker at a time: the other one waits there when both are given up.
    it('begins no attempt that was given up while another one had the broker (F7)', async () => {
      await append(0, ['first'])
      await cluster.next(1, 'NONE', SLOW_MS)
      const patience = new AbortController()
      const both = ['a', 'b'].map((text) => {
        const records = [{ key: null, value: Buffer.from(text) }]
        return sink.append(cluster.topic, 0, records, patience.signal)
      })
      const ended = Promise.allSettled(both)
      await new Promise((resolve) => setTimeout(resolve, SLOW_MS / 2))
      patience.abort()
      const landed = (await ended).filter(({ status }) => status === 'fulfilled').length
      expect(landed).to.be.at.most(1)
      expect(await cluster.read(0)).to.have.length(1 + landed)
    })

    it('lands nothing late that the collector has given up and called unknown (F7)', async () => {
      for (let i = 0; i < 8; i++) await cluster.next(1, 'NOT_LEADER_FOR_PARTITION')
      const queue = createQueue({
        sink: () => createKafkaSink(cluster.kafka),
        encode: (_, value) => Buffer.from(JSON.stringify(value)),
        partitions: { [cluster.topic]: 1 },
        deadlineMs: 800,
        log: () => {},
      })
      let added = 0
      while (queue.stats().sent === 0) {
        queue.add(cluster.topic, 'key', [added++])
        await until('it has come to an end', () => queue.stats().queued === 0)
      }
      await queue.close()
      expect(added).to.be.greaterThan(1)
      expect(queue.stats()).to.deep.include({ sent: 1, unknown: added - 1, dropped: {} })
      expect(await cluster.read(0)).to.deep.equal([`[${added - 1}]`])
    })

    // kafkajs connects again and goes on, also after its producer was told to disconnect.
    it('begins no further attempt when it is closed', async () => {
      for (let i = 0; i < 6; i++) await cluster.next(1, 'NOT_LEADER_FOR_PARTITION')
      const old = append(0, ['old']).catch((fault) => fault)
      await new Promise((resolve) => setTimeout(resolve, 150))
      await sink.close()
      const later = await createKafkaSink(cluster.kafka)
      await later.append(cluster.topic, 0, [{ key: null, value: Buffer.from('new') }])
      expect(await old).to.include({ code: 'send_outcome_unknown', retryable: true })
      await later.close()
      expect(await cluster.read(0)).to.deep.equal(['new'])
    })

    // kafkajs begins its sequence again at 0 after 2^31 records, where the broker goes on.
    it('takes a new producer after so many records, and cuts nobody off (F4)', async () => {
      const watched = watchedKafka()
      const short = await createKafkaSink(watched.kafka, 6)
      await cluster.next(2, 'NONE', SLOW_MS)
      const values = (partition: number) => texts(partition, 15)
      const lanes = [0, 1].map(async (partition) => {
        for (const text of values(partition)) {
          await short.append(cluster.topic, partition, [{ key: null, value: Buffer.from(text) }])
        }
      })
      await Promise.all(lanes)
      await short.close()
      const logs = await Promise.all([cluster.read(0), cluster.read(1)])
      expect(logs).to.deep.equal([values(0), values(1)])
      expect(watched.made.length).to.equal(5)
      expect(watched.open()).to.equal(0)
    })

    it('leaves no connection behind after an error that others outlive', async () => {
      const before = sockets()
      const failing = await createKafkaSink(cluster.kafka)
      await cluster.next(1, 'OUT_OF_ORDER_SEQUENCE_NUMBER')
      await cluster.next(2, 'NONE', SLOW_MS)
      const values = [0, 1].map((partition) => [{ key: null, value: Buffer.from(`${partition}`) }])
      const [lost, slow] = await Promise.allSettled(
        values.map((records, partition) => failing.append(cluster.topic, partition, records)),
      )
      expect(lost!.status).to.equal('rejected')
      expect(slow!.status).to.equal('fulfilled')
      await until('all are closed', () => sockets() === before)
      await failing.close()
      expect(await cluster.read(1)).to.deep.equal(['1'])
    })

    it('asks for no transaction, whose end is tried but once (F3, F6)', async () => {
      const watched = watchedKafka()
      const plain = await createKafkaSink(watched.kafka, 2)
      for (const text of texts(0, 5)) {
        await plain.append(cluster.topic, 0, [{ key: null, value: Buffer.from(text) }])
      }
      await plain.close()
      const asked = ['ApiVersions', 'InitProducerId', 'Metadata', 'Produce']
      expect([...watched.requests].sort()).to.deep.equal(asked)
    })

    it('says when the broker has refused the records, which no further try would mend', async () => {
      await cluster.next(1, 'MESSAGE_TOO_LARGE')
      const error = await append(0, texts(0, 1)).catch((fault) => fault)
      expect(error).to.include({ code: 'broker_unavailable', retryable: false })
      expect(error.message).to.contain(`${cluster.topic}-0`)
      await append(0, texts(0, 1, 1))
      expect(await cluster.read(0)).to.deep.equal(texts(0, 1, 1))
    })
  })
})
