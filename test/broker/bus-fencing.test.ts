/** Who may commit, and when a member is gone: services/bus/port.ts on both of its adapters. */
import { expect } from 'chai'
import type { Bus } from '../../services/bus/port.ts'
import {
  append,
  BUSES,
  fresh,
  type Handle,
  join,
  type Member,
  newTopic,
  until,
} from './bus-under-test.ts'
import { ENVIRONMENT_TIMEOUT_MS } from './environment.ts'

/** Longer than a member needs to hear that its group is rebalanced. */
const HEARTBEAT_MS = 2_500

for (const { name, open } of BUSES) {
  describe(`broker/bus, the fencing of ${name}`, function () {
    this.timeout(40_000)
    let bus: Bus
    let members: Member[]
    let gate: PromiseWithResolvers<void>
    before(async function () {
      this.timeout(ENVIRONMENT_TIMEOUT_MS)
      bus = await open()
    })
    beforeEach(() => {
      members = []
      gate = Promise.withResolvers()
    })
    afterEach(async () => {
      gate.resolve()
      await Promise.all(members.map(({ source }) => source.stop()))
    })
    after(() => bus?.close())

    async function joined(group: string, topic: string, handle?: Handle): Promise<Member> {
      const member = await join(bus, group, [topic], handle)
      members.push(member)
      return member
    }

    const commitOf = ({ source }: Pick<Member, 'source'>, topic: string, partition: number) =>
      source.commit(topic, partition, { offset: 1, metadata: 'mine' }).then(
        () => 'accepted',
        (error) => error.code,
      )

    it('refuses the commit of a member that has lost the partition to another one', async () => {
      const topic = await newTopic(bus, 2)
      const group = fresh('group')
      const first = await joined(group, topic)
      await until('the first has both', () => first.owned.length === 2)
      const second = await joined(group, topic)
      await until('they share', () => first.owned.length === 1 && second.owned.length === 1)
      const [kept, lost] = [first.partitions()[0]!, second.partitions()[0]!]
      expect(await commitOf(first, topic, kept), 'its own').to.equal('accepted')
      expect(await commitOf(first, topic, lost), 'the other').to.equal('partition_lost')
      expect(await second.source.committed(topic, lost)).to.equal(null)
    })

    it('shows the next owner a commit that a handler made during a rebalance, or refuses it', async () => {
      const topic = await newTopic(bus, 1)
      const group = fresh('group')
      await append(bus, topic, 0, 'a')
      let outcome = 'none'
      const first = await joined(group, topic, async (_batch, _delivery, source) => {
        if (outcome !== 'none') return
        await gate.promise
        outcome = await commitOf({ source }, topic, 0)
      })
      await until('it is at work', () => first.batches.length === 1)
      const joining = joined(group, topic, async () => {})
      await new Promise((resolve) => setTimeout(resolve, HEARTBEAT_MS))
      gate.resolve()
      const second = await joining
      await until('the handler has ended', () => outcome !== 'none')
      await until('one has it', () => first.owned.length + second.owned.length === 1)
      expect(outcome).to.be.oneOf(['accepted', 'partition_lost'])
      const expected = outcome === 'accepted' ? { offset: 1, metadata: 'mine' } : null
      expect(await second.source.committed(topic, 0)).to.deep.equal(expected)
    })

    it('lets a member that stops finish its handler before it leaves', async () => {
      const topic = await newTopic(bus, 1)
      const group = fresh('group')
      await append(bus, topic, 0, 'a')
      const first = await joined(group, topic, () => gate.promise)
      await until('it is at work', () => first.batches.length === 1)
      let stopped = false
      const stopping = first.source.stop().then(() => {
        stopped = true
      })
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(stopped, 'left its handler behind').to.equal(false)
      gate.resolve()
      await stopping
    })

    it('keeps or refuses what a handler commits while its member stops', async () => {
      const topic = await newTopic(bus, 1)
      const group = fresh('group')
      await append(bus, topic, 0, 'a')
      let outcome = 'none'
      const first = await joined(group, topic, async (_batch, _delivery, source) => {
        await gate.promise
        outcome = await commitOf({ source }, topic, 0)
      })
      await until('it is at work', () => first.batches.length === 1)
      const stopping = first.source.stop()
      await new Promise((resolve) => setTimeout(resolve, 100))
      gate.resolve()
      await stopping
      await until('the handler has ended', () => outcome !== 'none')
      const second = await joined(group, topic, async () => {})
      const expected = outcome === 'accepted' ? { offset: 1, metadata: 'mine' } : null
      expect(await second.source.committed(topic, 0), outcome).to.deep.equal(expected)
    })

    it('refuses the commit of a member that has stopped', async () => {
      const topic = await newTopic(bus, 1)
      const group = fresh('group')
      const first = await joined(group, topic)
      await until('it has the partition', () => first.owned.length === 1)
      await first.source.stop()
      const second = await joined(group, topic)
      await until('the other has it', () => second.owned.length === 1)
      expect(await commitOf(first, topic, 0)).to.equal('partition_lost')
      expect(await second.source.committed(topic, 0)).to.equal(null)
    })
  })
}
