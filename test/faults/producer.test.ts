import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import type { Bus, Sink } from '../../services/bus/port.ts'
import { createQueue } from '../../services/collector/queue.ts'
import type { LensError } from '../../services/core/errors.ts'
import { fresh, newTopic, until } from '../broker/bus-under-test.ts'
import { type FaultyStack, startFaultyStack } from './faulty-stack.ts'
import { createLedger, duplicatesIn, fallsIn } from './producer-ledger.ts'

const PRODUCER = 'producer'
const DEADLINE_MS = 2_000

describe('faults/producer, on a real broker', function () {
  this.timeout(180_000)
  let stack: FaultyStack
  let direct: Bus
  let behind: Bus

  before(async function () {
    this.timeout(300_000)
    stack = await startFaultyStack([PRODUCER], () => {})
    const open = (brokers: string) =>
      createKafkaBus({ brokers: brokers.split(','), clientId: fresh('client'), log: () => {} })
    direct = open(stack.env.KAFKA_BROKERS!)
    behind = open(stack.envOf(PRODUCER).KAFKA_BROKERS!)
  })

  after(async () => {
    await behind?.close()
    await direct?.close()
    await stack?.stop()
  })

  /** Appends one text after the other until it is told to end; what became of each. */
  function sending(sink: Sink, topic: string) {
    const acknowledged: string[] = []
    const unknown: string[] = []
    let ending = false
    async function send(): Promise<void> {
      for (let i = 0; !ending; i++) {
        const text = String(i)
        const record = { key: null, value: Buffer.from(text) }
        await sink.append(topic, 0, [record]).then(
          () => acknowledged.push(text),
          (error: LensError) => {
            expect(error.code).equal('send_outcome_unknown')
            unknown.push(text)
          },
        )
        await sleep(2)
      }
    }
    const done = send()
    const end = () => {
      ending = true
      return done
    }
    return { acknowledged, unknown, end }
  }

  const toKafka = () => stack.linksOf(PRODUCER).kafka
  const FAULTS: readonly [string, () => Promise<void>][] = [
    ['replies are lost', () => during('replies-lost', 3_000)],
    ['the link is cut', () => during('cut', 2_000)],
    ['connections are reset', async () => toKafka().reset()],
    ['the broker is killed and comes back', () => stack.killBroker(1_000)],
  ]

  async function during(mode: 'replies-lost' | 'cut', ms: number): Promise<void> {
    toKafka().set(mode)
    await sleep(ms)
    toKafka().set('pass')
  }

  for (const [what, strike] of FAULTS) {
    it(`appends each record once and in order when ${what} in mid-send`, async () => {
      const topic = await newTopic(direct, 1)
      const sink = await behind.sink()
      const { acknowledged, unknown, end } = sending(sink, topic)
      await sleep(500)
      const before = acknowledged.length
      await strike()
      await until('it goes on', () => acknowledged.length > before + 200)
      await end()
      await sink.close()
      const log = (await direct.readAll(topic, 0)).map(({ value }) => Number(value))
      expect(log, 'none twice, none out of order').deep.equal(
        [...new Set(log)].sort((a, b) => a - b),
      )
      const lost = acknowledged.filter((text) => !log.includes(Number(text)))
      expect(lost, 'none acknowledged and lost').deep.equal([])
      const unasked = log.filter((n) => !acknowledged.includes(String(n)))
      expect(unknown.map(Number), 'all others are known to be unknown').include.members(unasked)
    })
  }

  /** How a collector's queue is left without answers; it is closed after it. */
  const SILENCES: readonly [string, () => Promise<void>][] = [
    ['no answer comes until its deadline', () => during('replies-lost', 3 * DEADLINE_MS)],
    ['it is closed with records in flight', async () => toKafka().set('replies-lost')],
  ]

  for (const [what, strike] of SILENCES) {
    it(`counts exactly what is sent, unknown and dropped when ${what}`, async () => {
      const topic = await newTopic(direct, 2)
      const ledger = createLedger()
      const queue = createQueue({
        sink: async () => ledger.watch(await behind.sink()),
        encode: (_, value) => Buffer.from(String((value as { n: number }).n)),
        partitions: { [topic]: 2 },
        flushMs: 10,
        recordsMax: 300,
        deadlineMs: DEADLINE_MS,
        log: () => {},
      })
      let added = 0
      const adding = setInterval(() => {
        for (let i = 0; i < 5; i++) queue.add(topic, `key-${added % 10}`, { n: added++ })
      }, 10)
      await until('it sends', () => queue.stats().sent > 100)
      await strike()
      // Not before something is under way whose answer is lost.
      await until('it is waiting', () => queue.stats().queued > 50 || queue.stats().unknown > 0)
      clearInterval(adding)
      await queue.close()
      toKafka().set('pass')

      const { sent, unknown, dropped, queued } = queue.stats()
      const droppedAll = Object.values(dropped).reduce((sum, n) => sum + n, 0)
      expect({ queued, all: sent + unknown + droppedAll }).deep.equal({ queued: 0, all: added })
      expect(unknown, 'a send was under way').greaterThan(0)
      const lanes = await Promise.all([0, 1].map((partition) => direct.readAll(topic, partition)))
      const numbers = lanes.map((records) => records.map(({ value }) => Number(value)))
      const log = numbers.flat()
      const outOfOrder = numbers.reduce((sum, lane) => sum + fallsIn(lane), 0)
      expect({ repeated: duplicatesIn(log), outOfOrder }).deep.equal({ repeated: 0, outOfOrder: 0 })
      expect(log).include.members([...ledger.acknowledged])
      expect([...ledger.acknowledged, ...ledger.unknown]).include.members(log)
      expect(log.length).within(sent, sent + unknown)
    })
  }
})
