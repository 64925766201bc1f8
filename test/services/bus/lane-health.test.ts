import { expect } from 'chai'
import type { Batch, Plan } from '../../../services/core/processor.ts'
import { createFixture, echo, echoSpec, type Fixture, idle, NOTHING } from './stage-fixture.ts'

const ALWAYS = Number.NEGATIVE_INFINITY

describe('bus/lane, what it measures', () => {
  let fixture: Fixture
  beforeEach(async () => {
    fixture = await createFixture(1)
  })

  it('is how old the first record is that is not committed, and zero when there is none', async () => {
    const plans: Plan[] = [NOTHING, NOTHING, { ...NOTHING, commit: { offset: 3, metadata: '' } }]
    const onBatch = () => ({ ...plans.shift()!, wakeMs: ALWAYS })
    const onTick = () => ({ ...NOTHING, wakeMs: ALWAYS })
    const stage = await fixture.start(echoSpec([], { create: echo([], { onBatch, onTick }) }))
    for (let i = 0; i < 3; i++) {
      await fixture.produce(0, i)
      await fixture.memory.settle()
      await stage.tick()
      fixture.clock.advance(1_000)
      await stage.tick()
    }
    expect(fixture.measured.lagMs).to.deep.equal([0, 1_000, 1_000, 2_000, 0, 0])
  })

  it('is zero when all that is read again was committed before', async () => {
    const first = await fixture.start(
      echoSpec([], {
        create: echo([], {
          onBatch: () => ({ ...NOTHING, commit: { offset: 3, metadata: '' } }),
        }),
      }),
    )
    await fixture.produce(0, 1, 2, 3)
    await fixture.memory.settle()
    await first.stop()
    expect((await fixture.committed(0))!.offset).to.equal(3)
    fixture.measured.lagMs.length = 0
    let read = 0
    const onBatch = ({ records }: Batch) => {
      read += [...records].length
      return { ...NOTHING, wakeMs: ALWAYS }
    }
    const again = { startOffset: 0, onBatch, onTick: () => ({ ...NOTHING, wakeMs: ALWAYS }) }
    const stage = await fixture.start(echoSpec([], { create: echo([], again) }))
    await idle()
    await fixture.memory.settle()
    fixture.clock.advance(60_000)
    await stage.tick()
    expect(read).to.equal(3)
    expect(fixture.measured.lagMs).to.deep.equal([0])
  })

  it('grows while the partition waits for something, whatever that is', async () => {
    const codec = fixture.codec as { prepare: typeof fixture.codec.prepare }
    const answer = Promise.withResolvers<void>()
    codec.prepare = () => answer.promise
    const stage = await fixture.start(echoSpec([]))
    await fixture.produce(0, 1)
    const settled = fixture.memory.settle()
    for (let i = 0; i < 3; i++) {
      await idle()
      void stage.tick()
      fixture.clock.advance(1_000)
    }
    answer.resolve()
    await settled
    await stage.tick()
    expect(fixture.measured.lagMs).to.deep.equal([0, 1_000, 2_000, 0])
  })

  it('is how long the work that ends in a commit took', async () => {
    const carryOut = async (effect: string) => fixture.clock.advance(Number(effect))
    const part = (effect: string, more: Partial<Plan<string>> = {}): Plan<string> => ({
      ...NOTHING,
      effects: [effect],
      ...more,
    })
    const commit = { offset: 1, metadata: '' }
    const onBatch = () => part('300', { rest: () => part('400', { commit }) })
    await fixture.start(echoSpec([], { create: echo([], { onBatch }), carryOut }))
    await fixture.produce(0, 1)
    await fixture.memory.settle()
    expect(fixture.measured.flushMs).to.deep.equal([700])
  })
})
