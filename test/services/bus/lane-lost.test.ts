import { expect } from 'chai'
import type { SourceHandlers } from '../../../services/bus/port.ts'
import { LensError } from '../../../services/core/errors.ts'
import type { Assignment } from '../../../services/core/processor.ts'
import { createFixture, echo, echoSpec, type Fixture, NOTHING } from './stage-fixture.ts'

const LOST = new LensError('partition_lost', 'it belongs to somebody else')

describe('bus/lane, when the partition is lost', () => {
  let fixture: Fixture
  let seen: string[]
  beforeEach(async () => {
    fixture = await createFixture(1)
    seen = []
  })

  /** An echo that goes on from what was committed, as every real stage does. */
  function resuming() {
    const create = (assignment: Assignment) =>
      echo(seen, { startOffset: assignment.committed?.offset ?? null })(assignment)
    return echoSpec(seen, { create })
  }

  const commits = () => fixture.trace.filter((line) => line.startsWith('commit'))

  it('commits nothing when a rebalance comes while it publishes; the next owner does it again', async () => {
    let rebalanced = false
    fixture.faults.after = () => {
      if (!rebalanced) fixture.memory.rebalance()
      rebalanced = true
      return null
    }
    await fixture.start(resuming())
    await fixture.produce(0, 7)
    await fixture.memory.settle()
    expect(seen).to.deep.equal(['good 7 of 0', 'good 7 of 0'])
    expect(commits()).to.deep.equal(['commit 0 1'])
    expect(fixture.failures).to.deep.equal([])
  })

  it('lives on when its commit is refused, and takes no further batch of that assignment', async () => {
    let refusals = 1
    fixture.wrap.source = (source) => ({
      ...source,
      async commit(...args) {
        if (refusals-- > 0) throw LOST
        return source.commit(...args)
      },
    })
    await fixture.start(resuming())
    await fixture.produce(0, 1)
    await fixture.memory.settle()
    await fixture.produce(0, 2)
    await fixture.memory.settle()
    expect([seen.length, commits().length, fixture.failures.length]).to.deep.equal([1, 0, 0])
    fixture.memory.rebalance()
    await fixture.memory.settle()
    expect(seen.slice(1)).to.deep.equal(['good 1 of 0', 'good 2 of 0'])
    expect(commits()).to.deep.equal(['commit 0 2'])
  })

  it('tries a commit again that failed for another reason', async () => {
    let failures = 2
    fixture.wrap.source = (source) => ({
      ...source,
      async commit(...args) {
        if (failures-- > 0) throw new LensError('broker_unavailable', 'away', { retryable: true })
        return source.commit(...args)
      },
    })
    await fixture.start(resuming())
    await fixture.produce(0, 1)
    await fixture.memory.settle()
    expect(commits()).to.deep.equal(['commit 0 1'])
  })

  it('processes no batch that a rebalance has overtaken while the registry was asked', async () => {
    const unknown = Buffer.concat([Buffer.of(0, 0, 0, 0, 99), Buffer.alloc(9)])
    const { prepare } = fixture.codec
    let rebalanced = false
    const codec = fixture.codec as { prepare: typeof prepare }
    codec.prepare = async (topic, values) => {
      await prepare(topic, values)
      if (!rebalanced) fixture.memory.rebalance()
      rebalanced = true
    }
    await fixture.start(resuming())
    await fixture.produceBytes(0, unknown)
    await fixture.memory.settle()
    expect(seen).to.deep.equal(['bad 0 unknown_schema of 0'])
    expect(commits()).to.deep.equal(['commit 0 1'])
  })

  it('drains nothing into a partition that it no longer owns', async () => {
    const onDrain = () => ({ ...NOTHING, commit: { offset: 9, metadata: 'drained' } })
    const create = echo(seen, { onBatch: () => NOTHING, onDrain })
    const first = await fixture.start(echoSpec(seen, { create }))
    await fixture.produce(0, 1)
    await fixture.memory.settle()
    const second = await fixture.start(resuming())
    fixture.memory.crash(fixture.sources[0]!)
    await fixture.memory.settle()
    await first.stop()
    expect((await fixture.committed(0))?.metadata).to.equal('after 1')
    await second.stop()
  })

  describe('while the broker is away', () => {
    /** Heartbeats end with the error; appends fail so many times. */
    async function startWith(heartbeatError: Error, failures: number): Promise<void> {
      const heartbeat = async () => Promise.reject(heartbeatError)
      fixture.wrap.source = (source) => ({
        ...source,
        run: (handlers: SourceHandlers) =>
          source.run({
            ...handlers,
            batch: (batch, delivery) => handlers.batch(batch, { ...delivery, heartbeat }),
          }),
      })
      const away = new LensError('send_outcome_unknown', 'away', { retryable: true })
      let left = failures
      fixture.faults.before = () => (left-- > 0 ? away : null)
      await fixture.start(resuming())
      await fixture.produce(0, 1)
      await fixture.memory.settle()
    }

    // kafkajs refuses the heartbeat of a member while its group is rebalanced. The partition is
    // then lost, as far as one can know; the process has no reason to end.
    it('lives on when a heartbeat is refused, and goes on after the rebalance', async () => {
      const message = 'The group is rebalancing, so a rejoin is needed'
      const fields = { type: 'REBALANCE_IN_PROGRESS', retriable: false }
      await startWith(Object.assign(new Error(message), fields), 1)
      expect(fixture.failures).to.deep.equal([])
      fixture.memory.rebalance()
      await fixture.memory.settle()
      expect((await fixture.committed(0))?.offset).to.equal(1)
    })

    // The broker that the append waits for may be the one that the heartbeat goes to. No rebalance
    // follows when it is back before the session has ended: whoever gave up would wait for ever.
    it('goes on by itself when heartbeats only could not be sent', async () => {
      const fields = { name: 'KafkaJSConnectionClosedError', retriable: true }
      await startWith(Object.assign(new Error('Closed connection'), fields), 3)
      await fixture.produce(0, 2)
      await fixture.memory.settle()
      expect(fixture.failures).to.deep.equal([])
      expect(seen).to.deep.equal(['good 1 of 0', 'good 2 of 0'])
      expect((await fixture.committed(0))?.offset).to.equal(2)
    })
  })
})
