/** Who may commit, and when a member is gone: services/bus/port.ts on both of its adapters. */
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

for (const { name, open } of BUSES) {
  describe(`broker/bus, the fencing of ${name}`, function () {
    this.timeout(40_000)
    let bus: Bus
    before(async function () {
      this.timeout(ENVIRONMENT_TIMEOUT_MS)
      bus = await open()
    })
    after(() => bus?.close())

    const commitOf = (member: Member, topic: string, partition: number) =>
      member.source.commit(topic, partition, { offset: 1, metadata: 'mine' }).then(
        () => 'accepted',
        (error) => error.code,
      )

    it('refuses the commit of a member that has lost the partition to another one', async () => {
      const topic = await newTopic(bus, 2)
      const group = fresh('group')
      const first = await join(bus, group, [topic])
      await until('the first has both', () => first.owned.length === 2)
      const second = await join(bus, group, [topic])
      await until('they share', () => first.owned.length === 1 && second.owned.length === 1)
      const kept = first.partitions()[0]!
      const lost = second.partitions()[0]!
      expect(await commitOf(first, topic, kept), 'its own').to.equal('accepted')
      expect(await commitOf(first, topic, lost), 'the other').to.equal('partition_lost')
      expect(await second.source.committed(topic, lost)).to.equal(null)
      await Promise.all([first.source.stop(), second.source.stop()])
    })

    it('refuses the commit of a member that another one has pushed out of its handler', async () => {
      const topic = await newTopic(bus, 1)
      const group = fresh('group')
      await append(bus, topic, 0, 'a')
      const gate = Promise.withResolvers<void>()
      const outcomes: string[] = []
      let source: Member['source'] | null = null
      const first = await join(bus, group, [topic], async () => {
        await gate.promise
        outcomes.push(await commitOf(first, topic, 0))
      })
      source = first.source
      await until('it is at work', () => first.batches.length === 1)
      const others = join(bus, group, [topic])
      // Kafka lets a rebalance wait for the handler, and refuses the commit meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 3_500))
      gate.resolve()
      const second = await others
      await until(
        'one of them has the partition',
        async () => first.owned.length + second.owned.length === 1,
      )
      await until('it has been said', () => outcomes.length > 0)
      if (second.owned.length === 1) expect(outcomes[0]).to.equal('partition_lost')
      else expect(outcomes[0]).to.be.oneOf(['partition_lost', 'accepted'])
      await Promise.all([source.stop(), second.source.stop()])
    })

    it('lets a member that stops finish its handler, commit included, before it leaves', async () => {
      const topic = await newTopic(bus, 1)
      const group = fresh('group')
      await append(bus, topic, 0, 'a')
      const gate = Promise.withResolvers<void>()
      let outcome = 'none'
      const first = await join(bus, group, [topic], async () => {
        await gate.promise
        outcome = await commitOf(first, topic, 0)
      })
      await until('it is at work', () => first.batches.length === 1)
      let stopped = false
      const stopping = first.source.stop().then(() => {
        stopped = true
      })
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(stopped, 'it is still at work').to.equal(false)
      gate.resolve()
      await stopping
      expect(outcome).to.equal('accepted')
      const second = await join(bus, group, [topic], commitAll)
      expect(await second.source.committed(topic, 0)).to.deep.equal({ offset: 1, metadata: 'mine' })
      await second.source.stop()
      expect(second.texts()).to.deep.equal([])
    })

    it('refuses the commit of a member that has stopped', async () => {
      const topic = await newTopic(bus, 1)
      const group = fresh('group')
      const first = await join(bus, group, [topic])
      await until('it has the partition', () => first.owned.length === 1)
      await first.source.stop()
      const second = await join(bus, group, [topic])
      await until('the other has it', () => second.owned.length === 1)
      expect(await commitOf(first, topic, 0)).to.equal('partition_lost')
      expect(await second.source.committed(topic, 0)).to.equal(null)
      await second.source.stop()
    })
  })
}
