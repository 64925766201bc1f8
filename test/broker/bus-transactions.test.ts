/** What only Kafka has: control records, which transactional producers leave in a log. */
import { expect } from 'chai'
import { Kafka, logLevel } from 'kafkajs'
import type { Bus } from '../../services/bus/port.ts'
import { append, BUSES, fresh, join, type Member, newTopic, until } from './bus-under-test.ts'
import { ENVIRONMENT_TIMEOUT_MS, testEnvironment } from './environment.ts'

describe('broker/bus, transactional producers', function () {
  this.timeout(40_000)
  let bus: Bus
  let members: Member[]
  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    bus = await BUSES.find(({ name }) => name === 'Kafka')!.open()
  })
  beforeEach(() => {
    members = []
  })
  afterEach(() => Promise.all(members.map(({ source }) => source.stop())))
  after(() => bus?.close())

  /** One transaction after the other, each with these texts. */
  async function transact(topic: string, ...transactions: readonly string[][]): Promise<void> {
    await transactTo('commit', topic, ...transactions)
  }

  async function transactTo(
    end: 'commit' | 'abort',
    topic: string,
    ...transactions: readonly string[][]
  ): Promise<void> {
    const { env } = await testEnvironment()
    const brokers = env.KAFKA_BROKERS!.split(',')
    const kafka = new Kafka({ brokers, clientId: 'lens-test', logLevel: logLevel.NOTHING })
    const transactionalId = fresh('transaction')
    const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (const texts of transactions) {
      const transaction = await producer.transaction()
      const messages = texts.map((value) => ({ value, partition: 0 }))
      await transaction.send({ topic, messages })
      await transaction[end]()
    }
    await producer.disconnect()
  }

  async function joined(...how: Parameters<typeof join>): Promise<Member> {
    const member = await join(...how)
    members.push(member)
    return member
  }

  it('shows every offset, those of control records too', async () => {
    const topic = await newTopic(bus, 1)
    const nothing = async () => {}
    const member = await joined(bus, fresh('group'), [topic], nothing)
    await transact(topic, ['a'], ['b', 'c'])
    await append(bus, topic, 0, 'd')
    await transact(topic, ['e'])
    const [range] = await bus.offsets(topic)
    await until('all is shown', () => (member.batches.at(-1)?.end ?? 0) >= range!.end)
    expect(member.texts()).to.deep.equal(['a', 'b', 'c', 'd', 'e'])
    member.batches.forEach(({ from }, i) => {
      expect(from).to.equal(member.batches[i - 1]?.end ?? 0)
    })
  })

  // The filter of kafkajs lets some of them through: better all than some.
  it('reads also what aborted transactions have left (F5)', async () => {
    const topic = await newTopic(bus, 1)
    await transactTo('abort', topic, ['a'], ['b'])
    await append(bus, topic, 0, 'c')
    const member = await joined(bus, fresh('group'), [topic])
    await until('all is shown', () => member.texts().includes('c'))
    expect(member.texts()).to.deep.equal(['a', 'b', 'c'])
  })

  it('reads a partition whole that ends with a control record', async () => {
    const topic = await newTopic(bus, 1)
    await transact(topic, ['a'], ['b'])
    const records = await bus.readAll(topic, 0)
    expect(records.map(({ value }) => String(value))).to.deep.equal(['a', 'b'])
  })
})
