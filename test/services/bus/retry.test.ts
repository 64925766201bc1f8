import { expect } from 'chai'
import type { Clock } from '../../../services/bus/clock.ts'
import { type RetrySurroundings, retrying } from '../../../services/bus/retry.ts'
import { LensError } from '../../../services/core/errors.ts'

const GONE = new LensError('broker_unavailable', 'no broker', { retryable: true })

/** Surroundings that write down every wait. */
function surroundings(more: Partial<RetrySurroundings> = {}) {
  const waits: number[] = []
  const lines: string[] = []
  const sleep = async (ms: number): Promise<void> => void waits.push(ms)
  const clock: Clock = { nowMs: () => 0, monotonicMs: () => 0, sleep, turn: async () => {} }
  const log = (line: string): void => void lines.push(line)
  return { waits, lines, around: { clock, log, isStopped: () => false, ...more } }
}

/** Work that fails so many times. */
function failing(times: number, error: unknown = GONE) {
  const state = { calls: 0 }
  const work = async () => {
    if (state.calls++ < times) throw error
    return 'done'
  }
  return { state, work }
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error) => error,
  )

describe('bus/retry', () => {
  it('gives the result of the first try', async () => {
    const { around, waits } = surroundings()
    expect(await retrying(failing(0).work, around)).to.equal('done')
    expect(waits).to.deep.equal([])
  })

  it('waits twice as long each time, up to five seconds, and says so', async () => {
    const { around, waits, lines } = surroundings()
    expect(await retrying(failing(9).work, around)).to.equal('done')
    expect(waits).to.deep.equal([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000])
    expect(lines[0]).to.equal('waiting 100 ms: no broker')
  })

  it('gives up at once at an error that time does not mend', async () => {
    for (const error of [
      new LensError('topic_missing', 'no topic'),
      new TypeError('a bug'),
      Object.assign(new Error('from a client'), { retriable: false }),
    ]) {
      const { around, waits } = surroundings()
      const { state, work } = failing(1, error)
      expect(await failureOf(retrying(work, around))).to.equal(error)
      expect([state.calls, waits]).to.deep.equal([1, []])
    }
  })

  it('tries again at an error of the Kafka client that calls itself retriable', async () => {
    const { around } = surroundings()
    const error = Object.assign(new Error('not leader'), { retriable: true })
    expect(await retrying(failing(2, error).work, around)).to.equal('done')
  })

  it('ends with the last error when it is stopped', async () => {
    let stopped = false
    const { around, waits } = surroundings({ isStopped: () => stopped })
    const { state, work } = failing(100)
    const stopping = async () => {
      if (state.calls === 3) stopped = true
      return work()
    }
    expect(await failureOf(retrying(stopping, around))).to.equal(GONE)
    expect([state.calls, waits.length]).to.deep.equal([4, 3])
  })

  it('keeps the group membership after each wait', async () => {
    let beats = 0
    const heartbeat = async (): Promise<void> => void beats++
    const { around } = surroundings({ heartbeat })
    await retrying(failing(4).work, around)
    expect(beats).to.equal(4)
  })

  describe('when a heartbeat fails', () => {
    const typed = (type: string) => Object.assign(new Error(type), { type })

    it('ends as lost once the group has given the member up, whatever it is wrapped in', async () => {
      for (const type of ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID']) {
        for (const cause of [typed(type), new Error('number of retries', { cause: typed(type) })]) {
          const { around } = surroundings({ heartbeat: () => Promise.reject(cause) })
          const { state, work } = failing(3)
          const error = await failureOf(retrying(work, around))
          expect(error).to.include({ code: 'partition_lost', cause })
          expect(error.message).to.contain(cause.message)
          expect(state.calls).to.equal(1)
        }
      }
    })

    it('goes on after any other error: it may only not have been sent', async () => {
      for (const cause of [typed('COORDINATOR_NOT_AVAILABLE'), new Error('closed', { cause: 7 })]) {
        const { around } = surroundings({ heartbeat: () => Promise.reject(cause) })
        expect(await retrying(failing(3).work, around)).to.equal('done')
      }
    })
  })
})
