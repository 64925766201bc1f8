/**
 * npm run test:producer: kafkajs as it is, and our producer, on three real brokers whose nodes are
 * killed, paused and restarted in mid-send. Some minutes; prints what it counted.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import kafkajs, { type Message } from 'kafkajs'
import { systemClock } from '../../services/bus/clock.ts'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import type { Bus } from '../../services/bus/port.ts'
import { retrying } from '../../services/bus/retry.ts'
import { createQueue } from '../../services/collector/queue.ts'
import { fresh, until } from '../broker/bus-under-test.ts'
import { type ClusterOfThree, startClusterOfThree } from '../broker/cluster-of-three.ts'
import { createLedger, duplicatesIn, fallsIn, type Ledger } from './producer-ledger.ts'

const PARTITIONS = 12
const KILLS = 9
const STOCK_TRIES = 4
const AWAY_MS = 1_500

/** Shorter than the outage of two nodes, so that records are given up and dropped in it. */
const DEADLINE_MS = 6_000
const QUEUE_RECORDS_MAX = 2_000
const OUTAGE_MS = 15_000

/** A broker that has just come back says for a while that it is loading. */
const AROUND = { clock: systemClock, log: () => {}, isStopped: () => false }

describe('faults/producer, on three real brokers', function () {
  this.timeout(900_000)
  let cluster: ClusterOfThree
  let bus: Bus

  before(async () => {
    cluster = await startClusterOfThree()
    bus = createKafkaBus({ brokers: cluster.brokers, clientId: 'lens-test', log: () => {} })
  })
  after(async () => {
    await bus?.close()
    await cluster?.stop()
  })

  async function newTopic(): Promise<string> {
    const topic = fresh('three')
    await cluster.newTopic(topic, PARTITIONS)
    await cluster.whole(topic)
    return topic
  }

  /** The numbers in each partition, in its order. */
  async function logOf(topic: string): Promise<number[][]> {
    const lanes: number[][] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const records = await retrying(() => bus.readAll(topic, partition), AROUND)
      lanes.push(records.map(({ value }) => Number(value)))
    }
    return lanes
  }

  /** kill -9 of one node in mid-send; resolves when it is back and leads again what it led. */
  async function kill(topic: string, node: number): Promise<void> {
    await cluster.signal(node, 'SIGKILL')
    await sleep(AWAY_MS)
    await cluster.start(node)
    await cluster.whole(topic)
  }

  /** What the three nodes go through; each leaves them whole. */
  const FAULTS: Readonly<Record<string, (topic: string) => Promise<void>>> = {
    async 'kill -9 of one broker after the other'(topic) {
      for (let i = 0; i < KILLS; i++) await kill(topic, i % 3)
    },
    async 'a rolling restart of all three'(topic) {
      for (const node of [0, 1, 2]) {
        await cluster.signal(node, 'SIGTERM')
        await cluster.start(node)
        await cluster.whole(topic)
      }
    },
    async 'a broker that sleeps until others lead, and wakes up'(topic) {
      for (const node of [0, 1, 2]) {
        await cluster.signal(node, 'SIGSTOP')
        await sleep(8_000)
        await cluster.signal(node, 'SIGCONT')
        await cluster.whole(topic)
      }
    },
    async 'two brokers that are gone for longer than the deadline'(topic) {
      await Promise.all([1, 2].map((node) => cluster.signal(node, 'SIGKILL')))
      await sleep(OUTAGE_MS)
      await Promise.all([1, 2].map((node) => cluster.start(node)))
      await cluster.whole(topic)
    },
  }

  describe('kafkajs as it is, with one send over three leaders', () => {
    /** One send of so many records after the other while brokers are killed. */
    async function sendThrough(message: (n: number) => Message) {
      const topic = await newTopic()
      const acknowledged: number[] = []
      let ending = false
      async function send(): Promise<void> {
        for (let n = 0; !ending; ) {
          const producer = cluster.kafka.producer({
            idempotent: true,
            maxInFlightRequests: 1,
            createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
            retry: { initialRetryTime: 100, maxRetryTime: 5_000, retries: 16 },
          })
          try {
            await producer.connect()
            while (!ending) {
              const numbers = Array.from({ length: PARTITIONS * 2 + 1 }, () => n++)
              await producer.send({ topic, messages: numbers.map(message) })
              acknowledged.push(...numbers)
            }
          } catch {
            // The outcome is unknown: neither acknowledged nor sent again.
          }
          await producer.disconnect().catch(() => {})
        }
      }
      const sending = send()
      for (const node of [0, 1, 2]) {
        await sleep(500)
        await kill(topic, node)
      }
      ending = true
      await sending
      const log = (await logOf(topic)).flat()
      const there = new Set(log)
      const lost = acknowledged.filter((n) => !there.has(n)).length
      return { acknowledged: acknowledged.length, repeated: duplicatesIn(log), lost }
    }

    const FAULTS_OF_KAFKAJS = [
      {
        title: 'repeats records although each names its partition (F1)',
        message: (n: number) => ({ value: String(n), partition: n % PARTITIONS }),
        shown: 'repeated',
      },
      {
        title: 'loses records that name none (F2)',
        message: (n: number) => ({ value: String(n) }),
        shown: 'lost',
      },
    ] as const
    for (const { title, message, shown } of FAULTS_OF_KAFKAJS) {
      it(title, async () => {
        const tries: Awaited<ReturnType<typeof sendThrough>>[] = []
        while (tries.length < STOCK_TRIES && !tries.some((counts) => counts[shown] > 0)) {
          tries.push(await sendThrough(message))
        }
        console.log('      kafkajs, three kills each:', JSON.stringify(tries))
        expect(tries.at(-1)![shown]).greaterThan(0)
      })
    }
  })

  describe('our producer, with one partition an append', () => {
    for (const [what, strike] of Object.entries(FAULTS)) {
      it(`appends each record once and in order through ${what}`, async () => {
        const topic = await newTopic()
        const ledger = createLedger()
        const queue = createQueue({
          sink: async () => ledger.watch(await bus.sink()),
          encode: (_, value) => Buffer.from(String((value as { n: number }).n)),
          partitions: { [topic]: PARTITIONS },
          flushMs: 10,
          recordsMax: QUEUE_RECORDS_MAX,
          deadlineMs: DEADLINE_MS,
          log: () => {},
        })
        let added = 0
        const adding = setInterval(() => {
          for (let i = 0; i < 10; i++) queue.add(topic, `key-${added % 100}`, { n: added++ })
        }, 5)
        await until('it sends', () => queue.stats().sent > 1_000)
        await strike(topic)
        const before = queue.stats().sent
        await until('it goes on', () => queue.stats().sent > before + 1_000)
        clearInterval(adding)
        await queue.close()
        check(what, added, queue.stats(), ledger, await logOf(topic))
      })
    }

    /** Every record that was added is in the log once, or counted as dropped or unknown. */
    function check(
      what: string,
      added: number,
      { sent, unknown, dropped, queued }: ReturnType<ReturnType<typeof createQueue>['stats']>,
      ledger: Ledger,
      lanes: readonly number[][],
    ): void {
      const log = lanes.flat()
      const there = new Set(log)
      const missing = [...ledger.acknowledged].filter((n) => !there.has(n))
      const unasked = log.filter((n) => !ledger.acknowledged.has(n) && !ledger.unknown.has(n))
      const repeated = duplicatesIn(log)
      const outOfOrder = lanes.reduce((sum, lane) => sum + fallsIn(lane), 0)
      const droppedAll = Object.values(dropped).reduce((sum, n) => sum + n, 0)
      const { slowestMs } = ledger
      const counts = { added, sent, unknown, dropped: droppedAll, log: log.length }
      console.log(`      ${what}:`, JSON.stringify({ ...counts, repeated, outOfOrder, slowestMs }))
      expect({ repeated, outOfOrder, missing, unasked, queued }).deep.equal({
        ...{ repeated: 0, outOfOrder: 0, missing: [], unasked: [], queued: 0 },
      })
      expect(sent + unknown + droppedAll).equal(added)
      expect(log.length, 'all that was sent, and of the unknown some').within(sent, sent + unknown)
    }
  })
})
