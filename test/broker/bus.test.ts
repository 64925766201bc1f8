/** What services/bus/port.ts promises, on both of its adapters, through nothing but the port. */
import { expect } from 'chai'
import type { Bus } from '../../services/bus/port.ts'
import { append, BUSES, fresh, newTopic } from './bus-under-test.ts'
import { ENVIRONMENT_TIMEOUT_MS } from './environment.ts'

for (const { name, open } of BUSES) {
  describe(`broker/bus, the log of ${name}`, function () {
    this.timeout(30_000)
    let bus: Bus
    before(async function () {
      this.timeout(ENVIRONMENT_TIMEOUT_MS)
      bus = await open()
    })
    after(() => bus?.close())

    async function texts(topic: string, partition: number): Promise<string[]> {
      return (await bus.readAll(topic, partition)).map(({ value }) => String(value))
    }

    it('keeps the records of a partition in the order of their appends, numbered from 0', async () => {
      const topic = await newTopic(bus, 2)
      const sink = await bus.sink()
      const landed: number[] = []
      for (const part of [['a', 'b'], ['c'], ['d', 'e', 'f']]) {
        const records = part.map((text) => ({ key: null, value: Buffer.from(text) }))
        landed.push((await sink.append(topic, 1, records)).baseOffset)
      }
      expect(landed).to.deep.equal([0, 2, 3])
      await sink.append(topic, 0, [{ key: null, value: Buffer.from('other') }])
      await sink.close()
      expect(await texts(topic, 1)).to.deep.equal(['a', 'b', 'c', 'd', 'e', 'f'])
      const records = await bus.readAll(topic, 1)
      expect(records.map(({ offset }) => offset)).to.deep.equal([0, 1, 2, 3, 4, 5])
      expect(await texts(topic, 0)).to.deep.equal(['other'])
    })

    it('gives keys and values back byte for byte', async () => {
      const topic = await newTopic(bus, 1)
      const sink = await bus.sink()
      const every = Uint8Array.from({ length: 256 }, (_, i) => i)
      await sink.append(topic, 0, [
        { key: 'schlüssel', value: every },
        { key: null, value: new Uint8Array(0) },
        { key: '', value: every.subarray(100, 103) },
      ])
      await sink.close()
      const read = (await bus.readAll(topic, 0)).map(({ key, value }) => [
        key && Buffer.from(key),
        value && Buffer.from(value),
      ])
      expect(read).to.deep.equal([
        [Buffer.from('schlüssel'), Buffer.from(every)],
        [null, Buffer.alloc(0)],
        [Buffer.alloc(0), Buffer.of(100, 101, 102)],
      ])
    })

    it('keeps what was appended although the producer uses its buffer again', async () => {
      const topic = await newTopic(bus, 1)
      const sink = await bus.sink()
      const value = Buffer.from('first')
      await sink.append(topic, 0, [{ key: null, value }])
      value.write('other')
      await sink.close()
      expect(await texts(topic, 0)).to.deep.equal(['first'])
    })

    it('tells when a record was appended, to its producer and to its readers alike', async () => {
      const topic = await newTopic(bus, 1)
      const sink = await bus.sink()
      const before = Date.now()
      const { appendMs } = await sink.append(topic, 0, [{ key: null, value: Buffer.of(1) }])
      expect(appendMs).to.be.within(before - 1_000, Date.now() + 1_000)
      await new Promise((resolve) => setTimeout(resolve, 5))
      const later = await sink.append(topic, 0, [{ key: null, value: Buffer.of(2) }])
      await sink.close()
      expect(later.appendMs).to.be.greaterThan(appendMs!)
      const read = (await bus.readAll(topic, 0)).map((record) => record.appendMs)
      expect(read).to.deep.equal([appendMs, later.appendMs])
    })

    it('counts partitions and leaves out topics that are not there', async () => {
      const [three, one] = [await newTopic(bus, 3), await newTopic(bus, 1)]
      const counts = await bus.partitionCounts([three, one, fresh('never')])
      expect(counts).to.deep.equal({ [three]: 3, [one]: 1 })
      expect(await bus.partitionCounts([fresh('never')])).to.deep.equal({})
    })

    it('creates what is missing and leaves what is there as it is', async () => {
      const [old, young] = [fresh('old'), fresh('young')]
      const spec = (topic: string, partitions: number) => ({
        ...{ name: topic, partitions, replication: 1, settings: {} },
      })
      expect(await bus.createTopics([spec(old, 2)])).to.deep.equal([old])
      await append(bus, old, 1, 'a')
      expect(await bus.createTopics([spec(old, 5), spec(young, 3)])).to.deep.equal([young])
      expect(await bus.createTopics([spec(old, 2), spec(young, 3)])).to.deep.equal([])
      expect(await bus.partitionCounts([old, young])).to.deep.equal({ [old]: 2, [young]: 3 })
      expect(await texts(old, 1)).to.deep.equal(['a'])
    })

    it('may be asked to create the same topic by two processes at once', async () => {
      const topic = fresh('raced')
      const spec = { name: topic, partitions: 2, replication: 1, settings: {} }
      const other = await open()
      await Promise.all([bus.createTopics([spec]), other.createTopics([spec])])
      await other.close()
      expect(await bus.partitionCounts([topic])).to.deep.equal({ [topic]: 2 })
    })

    it('knows the first and the end offset of each partition', async () => {
      const topic = await newTopic(bus, 3)
      await append(bus, topic, 2, 'a', 'b', 'c')
      await append(bus, topic, 0, 'd')
      expect(await bus.offsets(topic)).to.deep.equal([
        { first: 0, end: 1 },
        { first: 0, end: 0 },
        { first: 0, end: 3 },
      ])
    })

    it('reads a whole partition at once: a compacted one, a long one and an empty one', async () => {
      const topic = await newTopic(bus, 3, { 'cleanup.policy': 'compact' })
      const long = Array.from({ length: 3_000 }, (_, i) => `${i} ${'x'.repeat(1_000)}`)
      for (let i = 0; i < 3_000; i += 500) await append(bus, topic, 1, ...long.slice(i, i + 500))
      await append(bus, topic, 0, 'a', 'b')
      expect(await texts(topic, 0)).to.deep.equal(['a', 'b'])
      expect(await texts(topic, 1)).to.deep.equal(long)
      expect(await texts(topic, 2)).to.deep.equal([])
    })

    it('refuses appends when the sink is closed', async () => {
      const topic = await newTopic(bus, 1)
      const sink = await bus.sink()
      await sink.close()
      const error = await sink
        .append(topic, 0, [{ key: null, value: Buffer.of(1) }])
        .catch((e) => e)
      expect(error).to.include({ code: 'broker_unavailable' })
    })
  })
}
