import { expect } from 'chai'
import fc from 'fast-check'
import { createBrokerClock, systemClock } from '../../../services/bus/clock.ts'
import { createHandClock } from '../../pipeline/harness.ts'

const START_MS = 1_000_000

/** A broker whose clock differs from ours by `ahead`, and what we know of it. */
function brokerAhead(ahead: number) {
  const clock = createHandClock(START_MS)
  const broker = createBrokerClock(clock)
  const state = { ahead }
  return {
    clock,
    broker,
    state,
    trueMs: () => clock.nowMs() + state.ahead,
    /** Passes `ms` with an observation, `age` old, each second. */
    pass(ms: number, age = 0) {
      for (let left = ms; left > 0; left -= 1_000) {
        clock.advance(Math.min(1_000, left))
        broker.observe(clock.nowMs() + state.ahead - age)
      }
    },
  }
}

describe('bus/clock, the broker', () => {
  it('is at the beginning of time before anything was observed', () => {
    const { broker, clock } = brokerAhead(0)
    expect(broker.nowMs()).to.equal(Number.NEGATIVE_INFINITY)
    clock.advance(1e6)
    expect(broker.nowMs()).to.equal(Number.NEGATIVE_INFINITY)
  })

  it('goes on between observations, whatever the difference of the two clocks', () => {
    for (const ahead of [-86_400_000, 0, 12_345]) {
      const { broker, clock, trueMs } = brokerAhead(ahead)
      broker.observe(trueMs())
      clock.advance(3_000)
      expect(broker.nowMs()).to.equal(trueMs())
    }
  })

  it('is never ahead of the true one, and as near as the freshest observation', () => {
    const steps = fc.array(fc.tuple(fc.nat(30_000), fc.nat(5_000)), { minLength: 1, maxLength: 40 })
    const property = fc.property(steps, fc.integer({ min: -1e9, max: 1e9 }), (all, ahead) => {
      const { broker, clock, trueMs } = brokerAhead(ahead)
      for (const [waitMs, age] of all) {
        clock.advance(waitMs)
        broker.observe(trueMs() - age)
        expect(broker.nowMs()).to.be.at.most(trueMs())
        expect(broker.nowMs()).to.be.at.least(trueMs() - age)
      }
    })
    fc.assert(property)
  })

  it('does not go back when an old append time is observed', () => {
    const { broker, clock, trueMs } = brokerAhead(0)
    broker.observe(trueMs())
    clock.advance(10)
    broker.observe(trueMs() - 50_000)
    expect(broker.nowMs()).to.equal(trueMs())
  })

  it('follows a broker clock that is set back within two minutes', () => {
    const { broker, state, trueMs, pass } = brokerAhead(0)
    pass(90_000)
    state.ahead = -30_000
    pass(121_000)
    expect(broker.nowMs()).to.equal(trueMs())
  })

  it('holds on to the best observation of the last minute', () => {
    const { broker, trueMs, pass } = brokerAhead(0)
    pass(55_000)
    pass(60_000, 900)
    expect(broker.nowMs()).to.equal(trueMs())
    pass(120_000, 900)
    expect(broker.nowMs()).to.equal(trueMs() - 900)
  })

  it('follows a clock that is set forward at once', () => {
    const { broker, state, trueMs, pass } = brokerAhead(0)
    pass(10_000)
    state.ahead = 5_000
    pass(1_000)
    expect(broker.nowMs()).to.equal(trueMs())
  })
})

describe('bus/clock, the process', () => {
  it('sleeps for as long as it is told, by its own monotonic time', async () => {
    const before = systemClock.monotonicMs()
    await systemClock.sleep(30)
    const passedMs = systemClock.monotonicMs() - before
    expect(passedMs).to.be.within(28, 2_000)
    expect(Math.abs(systemClock.nowMs() - Date.now())).to.be.lessThan(1_000)
  })
})
