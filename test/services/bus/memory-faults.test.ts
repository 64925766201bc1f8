import { expect } from 'chai'
import type { Fault, Step } from '../../../services/bus/memory-fault.ts'
import { createRandom } from '../../../services/core/random.ts'
import { createMemoryFixture, type MemoryFixture, TOPIC } from './memory-fixture.ts'

describe('bus/memory, faults', () => {
  let fixture: MemoryFixture

  /** A switch that strikes once, at the n-th time of a step. */
  function once(at: Step, fault: Fault, n = 1) {
    let times = 0
    return (step: Step): Fault => (step === at && ++times === n ? fault : 'go')
  }

  it('deliver a batch once more', async () => {
    fixture = await createMemoryFixture(1, { fault: once('deliver', 'repeat') })
    const { got } = await fixture.join('g')
    await fixture.append(0, 'a')
    await fixture.bus.settle()
    expect(got).to.deep.equal(['0:0', '0:0'])
  })

  it('crash a member before it is given a batch; another one gets it', async () => {
    fixture = await createMemoryFixture(1, { fault: once('deliver', 'crash') })
    const first = await fixture.join('g')
    const second = await fixture.join('g')
    await fixture.append(0, 'a')
    await fixture.bus.settle()
    expect([first.got, second.got]).to.deep.equal([[], ['0:0']])
    expect([first.failures.length, second.failures.length]).to.deep.equal([1, 0])
  })

  it('crash a member at its commit, which is then not made', async () => {
    fixture = await createMemoryFixture(1, { fault: once('commit', 'crash') })
    const first = await fixture.join('g')
    const second = await fixture.join('g')
    await fixture.append(0, 'a')
    await fixture.bus.settle()
    expect([first.got, second.got]).to.deep.equal([['0:0'], ['0:0']])
    expect(await second.source.committed(TOPIC, 0)).to.include({ offset: 1 })
  })

  it('strike before or after an append: only then are the records there', async () => {
    for (const [step, kept] of [
      ['append', 0],
      ['appended', 1],
    ] as const) {
      fixture = await createMemoryFixture(1, { fault: once(step, 'crash') })
      const error = await fixture.append(0, 'a').catch((fault) => fault)
      expect(error, step).to.include({ code: 'broker_unavailable' })
      expect(await fixture.bus.offsets(TOPIC), step).to.deep.equal([{ first: 0, end: kept }])
    }
  })

  it('lose nothing whatever strikes, and the same seed strikes the same', async () => {
    async function run(seed: number) {
      const random = createRandom(seed)
      const fault = (step: Step): Fault => {
        if (step.startsWith('append')) return 'go'
        const share = random()
        return share < 0.1 ? 'crash' : share < 0.2 && step === 'deliver' ? 'repeat' : 'go'
      }
      fixture = await createMemoryFixture(3, { fault, pick: (n) => Math.floor(random() * n) })
      const members = [await fixture.join('g'), await fixture.join('g')]
      for (let i = 0; i < 60; i++) {
        await fixture.append(i % 3, String(i))
        await fixture.bus.settle()
        if (random() < 0.1) fixture.bus.rebalance()
        const dead = members.filter((member) => member.failures.length > 0).length
        while (members.length - dead < 2) members.push(await fixture.join('g'))
        await fixture.bus.settle()
      }
      return members.map(({ got }) => got)
    }
    for (let seed = 1; seed <= 5; seed++) {
      const got = await run(seed)
      expect(new Set(got.flat()).size, `seed ${seed}`).to.equal(60)
      expect(await run(seed), `seed ${seed}`).to.deep.equal(got)
    }
  })
})
