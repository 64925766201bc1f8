import { expect } from 'chai'
import type { RecordBatch, SourceHandlers } from '../../../services/bus/port.ts'
import { LensError } from '../../../services/core/errors.ts'
import type { Assignment } from '../../../services/core/processor.ts'
import {
  createFixture,
  echo,
  echoSpec,
  episode,
  type Fixture,
  GROUP,
  INPUT,
  OUTPUT,
} from './stage-fixture.ts'

describe('bus/lane', () => {
  let fixture: Fixture
  let seen: string[]
  beforeEach(async () => {
    fixture = await createFixture(1)
    seen = []
  })

  /** An echo that starts at the given offset. */
  function from(startOffset: number | null) {
    return echoSpec(seen, { create: echo(seen, { startOffset }) })
  }

  /** An echo that goes on from what was committed, as every real stage does. */
  function resuming() {
    const create = (assignment: Assignment) =>
      echo(seen, { startOffset: assignment.committed?.offset ?? null })(assignment)
    return echoSpec(seen, { create })
  }

  /** Another stage of the group has read and committed so much. */
  async function committedAt(offset: number): Promise<void> {
    const source = fixture.memory.source(GROUP, [INPUT])
    await source.run({ assigned: () => {}, batch: async () => {}, failed: () => {} })
    await source.commit(INPUT, 0, { offset, metadata: '' })
    await source.stop()
  }

  describe('where it starts', () => {
    it('rewinds to the offset that the processor names, and gives each record once', async () => {
      await fixture.produce(0, 0, 1, 2, 3, 4)
      await committedAt(4)
      await fixture.start(from(2))
      await fixture.produce(0, 5)
      await fixture.memory.settle()
      expect(seen).to.deep.equal([2, 3, 4, 5].map((n) => `good ${n} of 0`))
    })

    it('begins at the oldest record for a processor that names none', async () => {
      await fixture.produce(0, 0, 1, 2)
      await committedAt(2)
      await fixture.start(from(null))
      await fixture.memory.settle()
      expect(seen).to.deep.equal([0, 1, 2].map((n) => `good ${n} of 0`))
    })

    it('goes on where it was committed, without a record in between', async () => {
      await fixture.produce(0, 0, 1, 2)
      await committedAt(2)
      await fixture.start(from(2))
      await fixture.memory.settle()
      expect(seen).to.deep.equal(['good 2 of 0'])
    })

    it('counts what retention took and goes on with what is left', async () => {
      fixture = await createFixture(1, { keepRecords: 2 })
      await committedAt(1)
      for (let i = 0; i < 6; i++) await fixture.produce(0, i)
      const first = (await fixture.bus.offsets(INPUT))[0]!.first
      expect(first).to.be.greaterThan(1)
      await fixture.start(from(1))
      await fixture.memory.settle()
      expect(seen[0]).to.equal(`good ${first} of 0`)
      expect(fixture.health.totals().missing).to.equal(first - 1)
    })

    it('counts what went unread because a partition held too many bytes', async () => {
      fixture = await createFixture(1, { bytesMax: 100 })
      await fixture.start(from(0))
      for (let i = 0; i < 20; i++) await fixture.produce(0, i)
      const first = (await fixture.bus.offsets(INPUT))[0]!.first
      expect(first).to.be.greaterThan(0)
      await fixture.memory.settle()
      expect(seen.at(-1)).to.equal('good 19 of 0')
      expect(fixture.health.totals().missing).to.equal(20 - seen.length)
    })

    // It may have read another commit than the client did; nothing else would come of the log.
    it('begins where it was told although the client stands at the end', async () => {
      await fixture.produce(0, 0, 1, 2)
      await committedAt(3)
      fixture.wrap.source = (source) => ({
        ...source,
        committed: async () => ({ offset: 1, metadata: '' }),
      })
      await fixture.start(resuming())
      await new Promise(setImmediate)
      await fixture.memory.settle()
      expect(seen).to.deep.equal(['good 1 of 0', 'good 2 of 0'])
      expect(fixture.health.totals().missing).to.equal(0)
    })

    // A topic that was deleted and made again under the same name begins at 0, while the group's
    // commits live on. Kafka then delivers from the beginning.
    it('begins anew in a log that ends before what was committed, says so and counts it', async () => {
      await fixture.produce(0, 0, 1)
      await committedAt(1_000)
      await fixture.start(resuming())
      await fixture.produce(0, 2)
      await fixture.memory.settle()
      expect(seen).to.deep.equal([0, 1, 2].map((n) => `good ${n} of 0`))
      expect(fixture.health.totals().missing).to.equal(1_000 - 3)
      expect(fixture.lines.join('\n')).to.contain(`${INPUT}-0 was made anew`)
    })

    it('does not take a log for a new one that ends at what was committed', async () => {
      await fixture.produce(0, 0, 1)
      await committedAt(2)
      await fixture.start(resuming())
      await new Promise(setImmediate)
      expect(fixture.lines.join('\n')).not.to.contain('made anew')
      expect([seen, fixture.health.totals().missing]).to.deep.equal([[], 0])
    })
  })

  // With several brokers, one fetch of kafkajs takes the seeks of another's partitions.
  describe('given a batch that begins later than it must', () => {
    /** The first so many batches come otherwise. */
    function losing(times: number, otherwise: (batch: RecordBatch) => RecordBatch): void {
      let left = times
      fixture.wrap.source = (source) => ({
        ...source,
        run: (handlers: SourceHandlers) =>
          source.run({
            ...handlers,
            batch: (batch, delivery) =>
              handlers.batch(left-- > 0 ? otherwise(batch) : batch, delivery),
          }),
      })
    }

    it('asks for what it was not given, and gives each record once', async () => {
      losing(2, (batch) => ({ ...batch, from: batch.from + 1, records: batch.records.slice(1) }))
      await fixture.start(echoSpec(seen))
      await fixture.memory.settle()
      await fixture.produce(0, 0, 1, 2)
      await fixture.memory.settle()
      expect(seen).to.deep.equal([0, 1, 2].map((n) => `good ${n} of 0`))
    })
  })

  describe('its changelog', () => {
    it('is given to the processor whole, decoded, before the first record', async () => {
      const sink = await fixture.bus.sink()
      const good = (n: number) => ({ key: null, value: fixture.codec.encode(OUTPUT, episode(n)) })
      await sink.append(OUTPUT, 0, [good(1), { key: null, value: Buffer.of(7) }, good(2)])
      await fixture.produce(0, 9)
      let changelog: readonly unknown[] = []
      const create = (assignment: Assignment) => {
        expect(seen).to.deep.equal([])
        changelog = assignment.changelog
        return echo(seen)(assignment)
      }
      await fixture.start(echoSpec(seen, { changelog: OUTPUT, create }))
      await fixture.memory.settle()
      expect(changelog.map((entry) => ({ ...(entry as object) }))).to.deep.equal([
        episode(1),
        episode(2),
      ])
      expect(seen).to.deep.equal(['good 9 of 0'])
    })

    it('is read again when reading fails for a moment', async () => {
      let failures = 2
      const { readAll } = fixture.bus
      const bus = fixture.bus as { readAll: typeof readAll }
      bus.readAll = async (topic, partition) => {
        if (failures-- > 0) throw new LensError('broker_unavailable', 'away', { retryable: true })
        return readAll(topic, partition)
      }
      await fixture.start(echoSpec(seen, { changelog: OUTPUT }))
      await fixture.produce(0, 9)
      await fixture.memory.settle()
      expect([failures, seen.length]).to.deep.equal([-1, 1])
    })
  })

  it('gives each record once although batches are delivered twice', async () => {
    let repeats = 0
    fixture = await createFixture(1, {
      fault: (step) => (step === 'deliver' && ++repeats % 2 === 1 ? 'repeat' : 'go'),
    })
    await fixture.start(echoSpec(seen))
    await fixture.produce(0, 0, 1)
    await fixture.memory.settle()
    await fixture.produce(0, 2)
    await fixture.memory.settle()
    expect(repeats).to.be.greaterThan(2)
    expect(seen).to.deep.equal([0, 1, 2].map((n) => `good ${n} of 0`))
    expect(fixture.health.totals().in).to.equal(3)
  })
})
