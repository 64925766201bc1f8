/** What services/bus/port.ts promises of groups, on both of its adapters. */
import { expect } from 'chai'
import type { Bus } from '../../services/bus/port.ts'
import {
  append,
  BUSES,
  commitAll,
  fresh,
  join,
  type Member,
  newTopic,
  until,
} from './bus-under-test.ts'
import { ENVIRONMENT_TIMEOUT_MS } from './environment.ts'

const LONGER_THAN_A_SESSION_MS = 14_000

for (const { name, open } of BUSES) {
  describe(`broker/bus, the groups of ${name}`, function () {
    this.timeout(40_000)
    let bus: Bus
    let members: Member[]
    before(async function () {
      this.timeout(ENVIRONMENT_TIMEOUT_MS)
      bus = await open()
    })
    beforeEach(() => {
      members = []
    })
    afterEach(() => Promise.all(members.map(({ source }) => source.stop())))
    after(() => bus?.close())

    async function joined(
      ...how: Parameters<typeof join> extends [Bus, ...infer Rest] ? Rest : never
    ) {
      const member = await join(bus, ...how)
      members.push(member)
      return member
    }

    it('give every record to each group, from the oldest on', async () => {
      const topic = await newTopic(bus, 2)
      await append(bus, topic, 0, 'a', 'b')
      await append(bus, topic, 1, 'c')
      const one = await joined(fresh('group'), [topic])
      const other = await joined(fresh('group'), [topic])
      await append(bus, topic, 1, 'd')
      await until('both have all', () => one.texts().length + other.texts().length === 8)
      expect(one.texts().sort()).to.deep.equal(['a', 'b', 'c', 'd'])
      expect(other.texts().sort()).to.deep.equal(['a', 'b', 'c', 'd'])
      expect(one.owned).to.have.deep.members([
        { topic, partition: 0 },
        { topic, partition: 1 },
      ])
    })

    it('give the records of a partition in order, one batch at a time', async () => {
      const topic = await newTopic(bus, 1)
      let running = 0
      let most = 0
      const member = await joined(fresh('group'), [topic], async (...all) => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setTimeout(resolve, 10))
        await commitAll(...all)
        running--
      })
      const all = Array.from({ length: 20 }, (_, i) => String(i))
      for (const text of all) await append(bus, topic, 0, text)
      await until('it has all', () => member.texts().length >= 20)
      expect(member.texts()).to.deep.equal(all)
      expect(most).to.equal(1)
    })

    // The memory bus gives one batch at a time.
    if (name !== BUSES[0]!.name)
      it('give the records of other partitions while one is at work for long', async () => {
        const topic = await newTopic(bus, 2)
        const done = Promise.withResolvers<void>()
        const member = await joined(fresh('group'), [topic], async (...all) => {
          if (all[0].partition === 0) await done.promise
          await commitAll(...all)
        })
        const of = (text: string) => member.texts().filter((each) => each.startsWith(text))
        await append(bus, topic, 0, 'held 0')
        await until('it is at work', () => of('held').length === 1)
        for (let i = 1; i < 4; i++) {
          await append(bus, topic, 0, `held ${i}`)
          await append(bus, topic, 1, `free ${i}`)
          await until(`free ${i} is read`, () => of('free').length === i)
        }
        expect(of('held'), 'one batch at a time').to.deep.equal(['held 0'])
        done.resolve()
        await until('all are read', () => of('held').length === 4)
        expect(of('held')).to.deep.equal(['held 0', 'held 1', 'held 2', 'held 3'])
      })

    it('hand a commit and its metadata to the next owner, up to 4,000 bytes', async () => {
      const topic = await newTopic(bus, 2)
      const group = fresh('group')
      const metadata = 'ü'.repeat(2_000)
      const first = await joined(group, [topic])
      expect(await first.source.committed(topic, 0)).to.equal(null)
      await first.source.commit(topic, 0, { offset: 5, metadata })
      await first.source.commit(topic, 1, { offset: 0, metadata: '' })
      await first.source.stop()
      const second = await joined(group, [topic])
      expect(await second.source.committed(topic, 0)).to.deep.equal({ offset: 5, metadata })
      expect(await second.source.committed(topic, 1)).to.deep.equal({ offset: 0, metadata: '' })
    })

    it('share the partitions between two members and give them to the one that stays', async () => {
      const topic = await newTopic(bus, 4)
      const group = fresh('group')
      const first = await joined(group, [topic])
      await until('the first has all', () => first.owned.length === 4)
      const second = await joined(group, [topic])
      await until('each has two', () => first.owned.length === 2 && second.owned.length === 2)
      expect([...first.partitions(), ...second.partitions()].sort()).to.deep.equal([0, 1, 2, 3])
      for (let p = 0; p < 4; p++) await append(bus, topic, p, `to ${p}`)
      await until('all are read', () => first.texts().length + second.texts().length === 4)
      const own = ({ partitions }: Member) => partitions().map((p) => `to ${p}`)
      expect(first.texts().sort()).to.deep.equal(own(first))
      expect(second.texts().sort()).to.deep.equal(own(second))
      await first.source.stop()
      await until('the second has all', () => second.owned.length === 4)
      await append(bus, topic, first.partitions()[0]!, 'after')
      await until('it is read', () => second.texts().includes('after'))
    })

    it('give no record again to another member once it has been committed', async () => {
      const topic = await newTopic(bus, 2)
      const group = fresh('group')
      const done = new Set<string>()
      const again: string[] = []
      const handle = async (...all: Parameters<typeof commitAll>) => {
        const texts = all[0].records.map(({ value }) => String(value))
        again.push(...texts.filter((text) => done.has(text)))
        await commitAll(...all)
        for (const text of texts) done.add(text)
      }
      const first = await joined(group, [topic], handle)
      for (let i = 0; i < 10; i++) await append(bus, topic, i % 2, `early ${i}`)
      await until('they are done', () => done.size === 10)
      const second = await joined(group, [topic], handle)
      await until('they share', () => first.owned.length === 1 && second.owned.length === 1)
      for (let i = 0; i < 10; i++) await append(bus, topic, i % 2, `late ${i}`)
      await until('all are done', () => done.size === 20)
      expect(again).to.deep.equal([])
    })

    it('give what was not committed to the next owner', async () => {
      const topic = await newTopic(bus, 1)
      const group = fresh('group')
      await append(bus, topic, 0, 'a', 'b', 'c')
      const first = await joined(group, [topic], async ({ records }, _delivery, source) => {
        if (records[0]!.offset === 0) await source.commit(topic, 0, { offset: 1, metadata: '' })
      })
      await until('the first has all', () => first.texts().length === 3)
      await first.source.stop()
      const second = await joined(group, [topic])
      await until('the second has the rest', () => second.texts().length === 2)
      expect(second.texts()).to.deep.equal(['b', 'c'])
    })

    it('read again from where a member seeks', async () => {
      const topic = await newTopic(bus, 1)
      const member = await joined(fresh('group'), [topic])
      await append(bus, topic, 0, 'a', 'b', 'c')
      await until('they are read', () => member.texts().length === 3)
      member.source.seek(topic, 0, 1)
      await until('they are read again', () => member.texts().length === 5)
      expect(member.texts()).to.deep.equal(['a', 'b', 'c', 'b', 'c'])
    })

    it('keep a member whose handler takes longer than a session', async () => {
      const topic = await newTopic(bus, 1)
      await append(bus, topic, 0, 'a')
      let given = 0
      const member = await joined(fresh('group'), [topic], async (...all) => {
        given++
        await new Promise((resolve) => setTimeout(resolve, LONGER_THAN_A_SESSION_MS))
        await commitAll(...all)
      })
      const { source } = member
      await until('it is committed', async () => (await source.committed(topic, 0)) !== null)
      expect([given, member.failures]).to.deep.equal([1, []])
    })

    it('say to a running handler that a seek has overtaken it', async () => {
      const topic = await newTopic(bus, 1)
      const stale: boolean[] = []
      const member = await joined(fresh('group'), [topic], async (_batch, delivery, source) => {
        stale.push(delivery.isStale())
        if (stale.length === 1) source.seek(topic, 0, 0)
        stale.push(delivery.isStale())
      })
      await append(bus, topic, 0, 'a')
      await until('it is delivered again', () => stale.length === 4)
      expect(stale).to.deep.equal([false, true, false, false])
      expect(member.texts()).to.deep.equal(['a', 'a'])
    })
  })
}
