import { expect } from 'chai'
import type { Assignment, Plan, Tick } from '../../../services/core/processor.ts'
import { NOON_MS } from '../../records.ts'
import { createFixture, echo, echoSpec, type Fixture, idle, NOTHING } from './stage-fixture.ts'

describe('bus/lane, time', () => {
  let fixture: Fixture
  let seen: string[]
  beforeEach(async () => {
    fixture = await createFixture(1)
    seen = []
  })

  it('passes for a processor when its wakeMs has come, as the broker tells it', async () => {
    const ticks: Tick[] = []
    const wakes = [NOON_MS + 1_000, NOON_MS + 5_000, Number.POSITIVE_INFINITY]
    const onTick = (tick: Tick): Plan => {
      ticks.push(tick)
      return { ...NOTHING, wakeMs: wakes.shift()! }
    }
    const stage = await fixture.start(
      echoSpec(seen, {
        create: echo(seen, { onTick, onBatch: () => ({ ...NOTHING, wakeMs: NOON_MS }) }),
      }),
    )
    await fixture.produce(0, 1)
    await fixture.memory.settle()
    for (let i = 0; i < 14; i++) {
      await stage.tick()
      fixture.clock.advance(500)
    }
    const times = ticks.map(({ brokerMs }) => brokerMs - NOON_MS)
    expect(times).to.deep.equal([0, 1_000, 5_000])
    expect(ticks.every(({ caughtUp }) => caughtUp)).to.equal(true)
  })

  it('is said to be caught up only when everything in the log has been processed', async () => {
    const ticks: Tick[] = []
    const onTick = (tick: Tick): Plan => {
      ticks.push(tick)
      return { ...NOTHING, wakeMs: Number.NEGATIVE_INFINITY }
    }
    const onBatch = () => ({ ...NOTHING, wakeMs: Number.NEGATIVE_INFINITY })
    const stage = await fixture.start(echoSpec(seen, { create: echo(seen, { onTick, onBatch }) }))
    await fixture.memory.settle()
    await stage.tick()
    await fixture.produce(0, 1)
    await stage.tick()
    await fixture.memory.settle()
    await stage.tick()
    expect(ticks.map(({ caughtUp }) => caughtUp)).to.deep.equal([true, false, true])
  })

  it('passes for one partition while another waits', async () => {
    fixture = await createFixture(2)
    const codec = fixture.codec as { prepare: typeof fixture.codec.prepare }
    const answer = Promise.withResolvers<void>()
    codec.prepare = () => answer.promise
    const ticks: number[] = []
    const create = (assignment: Assignment) => {
      const onTick = () => {
        ticks.push(assignment.partition)
        return { ...NOTHING, wakeMs: Number.NEGATIVE_INFINITY }
      }
      return echo(seen, { onTick })(assignment)
    }
    const stage = await fixture.start(echoSpec(seen, { create }))
    await fixture.produce(0, 1)
    const settled = fixture.memory.settle()
    const ticking: Promise<void>[] = []
    for (let i = 0; i < 3; i++) {
      await idle()
      ticking.push(stage.tick())
    }
    await idle()
    expect(ticks).to.deep.equal([1, 1, 1])
    answer.resolve()
    await Promise.all([settled, ...ticking])
    expect(ticks, 'one for all the time that it waited').to.deep.equal([1, 1, 1, 0])
  })
})
