import { expect } from 'chai'
import { createMemoryFixture, type MemoryFixture, TOPIC } from './memory-fixture.ts'

const MANY = 600

describe('bus/memory', () => {
  let fixture: MemoryFixture
  beforeEach(async () => {
    fixture = await createMemoryFixture(2)
  })

  const offsets = () => fixture.bus.offsets(TOPIC)

  it('delivers in settle(), and by itself when it is automatic', async () => {
    const { got } = await fixture.join('g')
    await fixture.append(0, 'a')
    await new Promise((resolve) => setImmediate(resolve))
    expect(got).to.deep.equal([])
    await fixture.bus.settle()
    expect(got).to.deep.equal(['0:0'])
    const running = await createMemoryFixture(1, { automatic: true })
    const member = await running.join('g')
    await running.append(0, 'a', 'b')
    await running.append(0, 'c')
    await running.bus.close()
    expect(member.got).to.deep.equal(['0:0', '0:1', '0:2'])
  })

  it('cuts what waits into batches of five hundred', async () => {
    const sizes: number[] = []
    await fixture.append(0, ...Array.from({ length: MANY * 2 }, String))
    await fixture.join('g', async ({ records }) => void sizes.push(records.length))
    await fixture.bus.settle()
    expect(sizes).to.deep.equal([500, 500, 200])
  })

  it('lets pick choose whose turn it is', async () => {
    const turns = [1, 0, 1]
    const asked: number[] = []
    const pick = (n: number) => {
      asked.push(n)
      return n === 2 ? turns.shift()! : 0
    }
    fixture = await createMemoryFixture(2, { pick })
    const { got } = await fixture.join('g')
    await fixture.append(0, 'a')
    await fixture.append(1, 'b')
    await fixture.bus.settle()
    expect([got, asked]).to.deep.equal([
      ['1:0', '0:0'],
      [2, 1],
    ])
  })

  describe('trim', () => {
    it('forgets what every group has committed past, beyond the newest', async () => {
      fixture = await createMemoryFixture(1, { keepRecords: 10 })
      await fixture.join('g')
      for (let i = 0; i < 50; i++) {
        await fixture.append(0, String(i))
        await fixture.bus.settle()
      }
      const [range] = await offsets()
      expect(range!.end).to.equal(50)
      expect(range!.end - range!.first).to.be.within(10, 20)
      const records = await fixture.bus.readAll(TOPIC, 0)
      expect(records.map(({ value }) => String(value))[0]).to.equal(String(range!.first))
      expect(records[0]!.offset).to.equal(range!.first)
    })

    it('keeps whatever one group still needs', async () => {
      fixture = await createMemoryFixture(1, { keepRecords: 10 })
      await fixture.join('quick')
      await fixture.join('slow', async () => {})
      for (let i = 0; i < 50; i++) {
        await fixture.append(0, String(i))
        await fixture.bus.settle()
      }
      expect(await offsets()).to.deep.equal([{ first: 0, end: 50 }])
    })

    it('forgets the oldest of too many bytes, read or not, and takes what comes then', async () => {
      fixture = await createMemoryFixture(1, { bytesMax: 1_000 })
      const slow = await fixture.join('slow', async () => {})
      for (let i = 0; i < 30; i++) await fixture.append(0, 'x'.repeat(100))
      const [range] = await offsets()
      expect(range!.end).to.equal(30)
      expect(range!.end - range!.first).to.be.within(7, 10)
      await fixture.append(0, 'x'.repeat(2_000))
      expect(await offsets()).to.deep.equal([{ first: 31, end: 31 }])
      await fixture.append(0, 'small')
      await fixture.bus.settle()
      expect(slow.got).to.deep.equal(['0:31'])
    })

    it('goes on with what is left for a member that was too late', async () => {
      fixture = await createMemoryFixture(1, { keepRecords: 5 })
      for (let i = 0; i < 30; i++) await fixture.append(0, String(i))
      const { got } = await fixture.join('late')
      await fixture.bus.settle()
      const [range] = await offsets()
      expect(got[0]).to.equal(`0:${range!.first}`)
      expect(got).to.have.length(range!.end - range!.first)
    })
  })

  it('takes a crashed member out without a drain; its calls fail from then on', async () => {
    const first = await fixture.join('g')
    const second = await fixture.join('g')
    fixture.bus.crash(first.source)
    expect(second.assignments.at(-1)).to.equal('0 1')
    const error = await first.source.commit(TOPIC, 0, { offset: 5, metadata: '' }).catch((e) => e)
    expect(error).to.include({ code: 'partition_lost' })
    expect(await second.source.committed(TOPIC, 0)).to.equal(null)
  })

  it('gives every group a new assignment at a rebalance, and what was not committed again', async () => {
    const member = await fixture.join('g', async () => {})
    await fixture.append(0, 'a')
    await fixture.bus.settle()
    fixture.bus.rebalance()
    await fixture.bus.settle()
    expect(member.got).to.deep.equal(['0:0', '0:0'])
    expect(member.assignments).to.deep.equal(['0 1', '0 1'])
  })

  it('tells a handler that a rebalance has overtaken it', async () => {
    const stale: boolean[] = []
    const source = fixture.bus.source('g', [TOPIC])
    await source.run({
      assigned: () => {},
      async batch(_batch, delivery) {
        stale.push(delivery.isStale())
        if (stale.length === 1) fixture.bus.rebalance()
        stale.push(delivery.isStale())
      },
      failed: () => {},
    })
    await fixture.append(0, 'a')
    await fixture.bus.settle()
    expect(stale).to.deep.equal([false, true, false, false])
  })

  it('refuses a topic or partition that is not there', async () => {
    const sink = await fixture.bus.sink()
    for (const [topic, partition] of [
      ['none', 0],
      [TOPIC, 2],
    ] as const) {
      const error = await sink.append(topic, partition, []).catch((fault) => fault)
      expect(error).to.include({ code: 'topic_missing', retryable: false })
    }
  })
})
