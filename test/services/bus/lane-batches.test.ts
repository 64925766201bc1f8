import { expect } from 'chai'
import type { Delivery, LogRecord, SourceHandlers } from '../../../services/bus/port.ts'
import { LensError } from '../../../services/core/errors.ts'
import { NOON_MS, resourceSample } from '../../records.ts'
import { createFixture, echoSpec, type Fixture, INPUT } from './stage-fixture.ts'

describe('bus/lane, the batches that it is given', () => {
  let fixture: Fixture
  let seen: string[]
  let seeks: number[]
  let handlers: SourceHandlers

  beforeEach(async () => {
    fixture = await createFixture(1)
    seen = []
    seeks = []
    fixture.wrap.source = (source) => ({
      ...source,
      seek: (_topic, _partition, offset) => void seeks.push(offset),
      run(its) {
        handlers = its
        return source.run({ ...its, batch: async () => {} })
      },
    })
    await fixture.start(echoSpec(seen))
  })

  /** Gives a batch of the span, as a client would, with records at these offsets. */
  function give(
    from: number,
    end: number,
    offsets: readonly number[],
    more: Partial<Delivery> = {},
  ): Promise<void> {
    const records = offsets.map((offset): LogRecord => {
      const value = fixture.codec.encode(INPUT, resourceSample({ at: offset }))
      return { offset, appendMs: NOON_MS + offset, key: null, value }
    })
    const delivery = { heartbeat: async () => {}, isStale: () => false, ...more }
    return handlers.batch({ topic: INPUT, partition: 0, from, end, records }, delivery)
  }

  const good = (...numbers: number[]) => numbers.map((n) => `good ${n} of 0`)

  it('gives each record once although batches overlap', async () => {
    await give(0, 2, [0, 1])
    await give(0, 2, [0, 1])
    await give(1, 4, [1, 2, 3])
    expect(seen).to.deep.equal(good(0, 1, 2, 3))
    expect(fixture.health.totals().in).to.equal(4)
  })

  it('is not taken back by a batch that lies before what has been read', async () => {
    await give(0, 3, [0, 1, 2])
    await give(0, 1, [0])
    await give(0, 3, [0, 1, 2])
    expect(seen).to.deep.equal(good(0, 1, 2))
  })

  it('takes offsets that are no records as read', async () => {
    await give(0, 5, [])
    await give(5, 9, [7])
    await give(9, 10, [9])
    expect(seen).to.deep.equal(good(7, 9))
    expect(seeks, 'asked for nothing again').to.deep.equal([0])
    expect(fixture.failures).to.deep.equal([])
  })

  it('asks for what lies before a batch that begins later than it must', async () => {
    await give(0, 1, [0])
    await give(3, 4, [3])
    expect(seen).to.deep.equal(good(0))
    expect(seeks).to.deep.equal([0, 1])
    await give(1, 4, [1, 2, 3])
    expect(seen).to.deep.equal(good(0, 1, 2, 3))
    expect(fixture.health.totals().missing).to.equal(0)
  })

  it('counts what the log has lost by then, and goes on with what is left', async () => {
    await give(0, 1, [0])
    const bus = fixture.bus as { offsets: typeof fixture.bus.offsets }
    bus.offsets = async () => [{ first: 3, end: 5 }]
    await give(4, 5, [4])
    expect(seeks).to.deep.equal([0, 3])
    await give(3, 5, [3, 4])
    expect(seen).to.deep.equal(good(0, 3, 4))
    expect(fixture.health.totals().missing).to.equal(2)
  })

  it('neither takes a batch that a seek or a rebalance has overtaken, nor asks for what lies before it', async () => {
    const stale = { isStale: () => true }
    await give(0, 1, [0])
    await give(1, 2, [1], stale)
    await give(7, 8, [7], stale)
    await give(1, 9, [], stale)
    await give(1, 2, [1])
    expect(seen).to.deep.equal(good(0, 1))
    expect(seeks).to.deep.equal([0])
  })

  it('asks the registry for ids that it does not know, until it answers, before it decodes', async () => {
    const asked: number[] = []
    const codec = fixture.codec as { prepare: typeof fixture.codec.prepare }
    codec.prepare = async (_topic, values) => {
      asked.push(values.length)
      expect(seen).to.deep.equal([])
      if (asked.length < 3) throw new LensError('registry_unavailable', 'down', { retryable: true })
    }
    await give(0, 2, [0, 1])
    expect([asked, seen]).to.deep.equal([[2, 2, 2], good(0, 1)])
  })

  it('lets a member be heard of while it waits', async () => {
    let beats = 0
    let failures = 2
    fixture.faults.before = () =>
      failures-- > 0 ? new LensError('broker_unavailable', 'away', { retryable: true }) : null
    await give(0, 1, [0], { heartbeat: async () => void beats++ })
    expect([beats, seen]).to.deep.equal([2, good(0)])
  })
})
