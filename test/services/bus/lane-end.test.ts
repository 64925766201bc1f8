import { expect } from 'chai'
import { LensError } from '../../../services/core/errors.ts'
import type { Assignment, Plan, Processor } from '../../../services/core/processor.ts'
import {
  createFixture,
  echo,
  echoSpec,
  type Fixture,
  INPUT,
  idle,
  NOTHING,
  output,
} from './stage-fixture.ts'

const AWAY = new LensError('broker_unavailable', 'away', { retryable: true })
const BROKEN = new LensError('store_unavailable', 'no such bucket')
const ALWAYS = Number.NEGATIVE_INFINITY

describe('bus/lane, when it is over', () => {
  let fixture: Fixture
  let seen: string[]
  let calls: string[]
  beforeEach(async () => {
    fixture = await createFixture(2)
    seen = []
    calls = []
  })

  /** An echo whose every tick and drain is written down; `more` may depend on its assignment. */
  function watched(more: (assignment: Assignment) => Partial<Processor<string>> = () => ({})) {
    return (assignment: Assignment) => {
      const noted = (call: string) => () => {
        calls.push(`${call} ${assignment.partition}`)
        return { ...NOTHING, wakeMs: ALWAYS }
      }
      const processor = { onTick: noted('tick'), onDrain: noted('drain'), ...more(assignment) }
      return echo(seen, processor)(assignment)
    }
  }

  /** Holds every look at the topic's ends until it is released. */
  function holdOffsets(): () => void {
    const gate = Promise.withResolvers<void>()
    const bus = fixture.bus as { offsets: typeof fixture.bus.offsets }
    bus.offsets = async (topic) => {
      await gate.promise
      return fixture.memory.offsets(topic)
    }
    return gate.resolve
  }

  describe('because the stage has failed', () => {
    const bug = () => {
      throw new Error('bug: it is')
    }
    const failing = watched(({ partition }) => (partition === 0 ? { onBatch: bug } : {}))

    it('takes no batch of any partition', async () => {
      await fixture.start(echoSpec(seen, { create: failing }))
      await fixture.produce(0, 1)
      await fixture.memory.settle()
      await fixture.produce(1, 2)
      await fixture.memory.settle()
      expect(fixture.failures).to.have.length(1)
      expect([seen, fixture.trace]).to.deep.equal([[], []])
    })

    it('tries nothing again in any partition', async () => {
      let tries = 0
      const carryOut = async () => {
        tries++
        throw AWAY
      }
      const effect = { ...NOTHING, effects: ['never'] }
      const create = watched(({ partition }) =>
        partition === 0 ? { onBatch: bug } : { onTick: () => effect },
      )
      const stage = await fixture.start(echoSpec(seen, { create, carryOut }))
      await idle()
      const ticking = stage.tick()
      await idle()
      await fixture.produce(0, 1)
      await fixture.memory.settle()
      await ticking
      expect(tries).to.be.greaterThan(1)
      expect(fixture.failures, 'only what failed first').to.have.length(1)
    })
  })

  describe('because the partition has a new owner', () => {
    it('lets no time pass where a commit was refused', async () => {
      fixture.wrap.source = (source) => ({
        ...source,
        commit: () => Promise.reject(new LensError('partition_lost', 'it is somebody else’s')),
      })
      const stage = await fixture.start(echoSpec(seen, { create: watched() }))
      await fixture.produce(0, 1)
      await fixture.memory.settle()
      await stage.tick()
      expect(calls).to.deep.equal(['tick 1'])
      expect(fixture.lines.at(-1)).to.equal(`echo: ${INPUT}-0: it is somebody else’s`)
    })

    it('creates nothing from what was read before that', async () => {
      const release = holdOffsets()
      const create = (assignment: Assignment) => {
        calls.push(`create ${assignment.partition}`)
        return echo(seen)(assignment)
      }
      await fixture.start(echoSpec(seen, { create }))
      fixture.memory.rebalance()
      release()
      await idle()
      expect(calls).to.deep.equal(['create 0', 'create 1'])
    })

    it('fails in silence: the new owner does the work again', async () => {
      let failures = 1
      const carryOut = async (effect: string) => {
        calls.push(effect)
        if (failures-- === 0) return
        fixture.memory.rebalance()
        throw BROKEN
      }
      await fixture.start(echoSpec(seen, { create: echo(seen, {}, true), carryOut }))
      await fixture.produce(0, 7)
      await fixture.memory.settle()
      expect([calls, fixture.failures]).to.deep.equal([['7', '7'], []])
      expect((await fixture.committed(0))?.offset).to.equal(1)
    })

    /** Each processor, numbered in the order of creation, puts its plans out under its number. */
    function numbered(plan: (name: string) => Plan<string>) {
      let created = 0
      return watched(() => {
        const name = String(created++)
        return { onBatch: () => plan(name) }
      })
    }

    it('goes on with no further part of a plan', async () => {
      const carryOut = async (effect: string) => {
        calls.push(effect)
        if (effect === 'first of 0') fixture.memory.rebalance()
      }
      const part = (effect: string): Plan<string> => ({ ...NOTHING, effects: [effect] })
      const create = numbered((name) => ({
        ...part(`first of ${name}`),
        rest: () => part(`rest of ${name}`),
      }))
      await fixture.start(echoSpec(seen, { create, carryOut }))
      await fixture.produce(0, 1)
      await fixture.memory.settle()
      expect(calls).to.deep.equal(['first of 0', 'first of 2', 'rest of 2'])
    })

    it('tries nothing again', async () => {
      const carryOut = async (effect: string) => {
        calls.push(effect)
        if (calls.length === 3) fixture.memory.rebalance()
        if (effect === '0') throw AWAY
      }
      const create = numbered((name) => ({ ...NOTHING, effects: [name] }))
      await fixture.start(echoSpec(seen, { create, carryOut }))
      await fixture.produce(0, 1)
      await fixture.memory.settle()
      expect(calls).to.deep.equal(['0', '0', '0', '2'])
    })
  })

  describe('because it is stopped', () => {
    it('lets no time pass after the drain', async () => {
      const stage = await fixture.start(echoSpec(seen, { create: watched() }))
      await idle()
      const release = holdOffsets()
      const ticking = stage.tick()
      await stage.stop()
      release()
      await ticking
      await stage.tick()
      expect(calls).to.deep.equal(['drain 0', 'drain 1'])
    })

    it('tries again, for some seconds, what fails for a moment', async () => {
      let failures = 3
      fixture.faults.before = () => {
        fixture.clock.advance(1_000)
        return failures-- > 0 ? AWAY : null
      }
      const onDrain = () => ({ ...NOTHING, outputs: [output(5, 0)] })
      const create = watched(({ partition }) => (partition === 0 ? { onDrain } : {}))
      const stage = await fixture.start(echoSpec(seen, { create }))
      await idle()
      await stage.stop()
      expect(await fixture.outputs(0)).to.deep.equal([5])
    })

    // The broker was away when the process began, and SIGTERM comes before it is back.
    it('ends, within seconds, what could not even begin', async () => {
      const bus = fixture.bus as { offsets: typeof fixture.bus.offsets }
      bus.offsets = async () => {
        fixture.clock.advance(1_000)
        throw AWAY
      }
      const stage = await fixture.start(echoSpec(seen, { create: watched() }))
      await idle()
      expect(await stage.stop().catch((error) => error)).to.equal(AWAY)
      expect([calls, fixture.failures]).to.deep.equal([[], []])
    })
  })
})
