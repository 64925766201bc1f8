import { expect } from 'chai'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import type { Bus } from '../../../services/bus/port.ts'
import { LensError } from '../../../services/core/errors.ts'
import { type ReplayChoice, replayDeadLetters } from '../../../services/lens/dead-letter-replay.ts'
import {
  createDeadLetterFixture,
  type DeadLetterFixture,
  failureOf,
  MIB,
  PARTITIONS,
} from './dead-letter-fixture.ts'

describe('lens/dead-letter-replay', () => {
  let fixture: DeadLetterFixture

  beforeEach(async () => {
    fixture = await createDeadLetterFixture()
  })

  function replay(
    more: Partial<ReplayChoice> = {},
    bus: Bus = fixture.recording.bus,
  ): Promise<boolean> {
    const choice = { places: null, send: true, ...more }
    return replayDeadLetters({ bus, codec: fixture.codec }, choice, fixture.write)
  }

  /** Records that were appended again, as `topic-partition key value`. */
  function appended(): string[] {
    return fixture.recording.appends.flatMap(({ topic, partition, records }) =>
      records.map(({ key, value }) => `${topic}-${partition} ${key} ${Buffer.from(value)}`),
    )
  }

  it('only says what it would send, until it is told to send', async () => {
    await fixture.refuse([{ offset: 5 }])
    expect(await replay({ send: false })).equal(true)
    expect(fixture.text()).equal(`\
would send lens.token-events-0-5 (bad_magic, 6 bytes)
to send: 1 (6 bytes); refused: 0; not found: 0
nothing was sent: --yes sends
`)
    expect(fixture.recording.sinks.opened).equal(0)
  })

  it('sends key and value, byte for byte, to the partition that they came from', async () => {
    const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    await fixture.refuse([{ partition: 2, offset: 5, key: Buffer.from('schlüssel'), value }])
    await fixture.refuse([{ partition: 1, offset: 6, key: null, value: Buffer.alloc(0) }])
    await fixture.refuse([
      { partition: 0, offset: 7, key: Buffer.alloc(0), value: Buffer.alloc(2 * MIB) },
    ])
    expect(await replay()).equal(true)
    const stored = await Promise.all(
      [0, 1, 2].map((p) => fixture.recording.bus.readAll(TOKEN_EVENTS, p)),
    )
    expect(stored.map((records) => records.map(({ key }) => key && String(key)))).deep.equal([
      ...[[''], [null], ['schlüssel']],
    ])
    const values = stored.map(([record]) => Buffer.from(record!.value!))
    expect(values[0]!.equals(Buffer.alloc(2 * MIB))).equal(true)
    expect(values.slice(1)).deep.equal([Buffer.alloc(0), value])
    expect(fixture.text()).contain(
      'sent lens.token-events-2-5 (bad_magic, 266 bytes) as lens.token-events-2-0\n',
    )
    expect(fixture.recording.sinks).deep.equal({ opened: 1, closed: 1 })
  })

  it('sends a record once, however often and by however many stages it was refused', async () => {
    await fixture.refuse([{ offset: 1 }, { offset: 2 }])
    await fixture.refuse([{ offset: 1 }, { offset: 2 }])
    await fixture.refuse([{ offset: 1 }], 'other')
    await replay()
    expect(appended()).have.members([`${TOKEN_EVENTS}-0 k bad 1`, `${TOKEN_EVENTS}-0 k bad 2`])
  })

  it('sends what was chosen by place or by reason, and says what it did not find', async () => {
    await fixture.refuse([{ offset: 1 }, { offset: 2, reason: 'truncated' }, { offset: 3 }])
    expect(await replay({ places: new Set([`${TOKEN_EVENTS}-0-3`, `${TOKEN_EVENTS}-1-3`]) })).equal(
      false,
    )
    expect(fixture.text()).contain(`there is no dead letter of ${TOKEN_EVENTS}-1-3;`)
    expect(fixture.text()).contain('sent: 1 (6 bytes); refused: 0; not found: 1\n')
    expect(await replay({ reason: 'truncated' })).equal(true)
    expect(appended()).deep.equal([`${TOKEN_EVENTS}-0 k bad 3`, `${TOKEN_EVENTS}-0 k bad 2`])
  })

  it('refuses what it cannot send as it was, and sends the rest', async () => {
    await fixture.refuse([
      { offset: 1, value: Buffer.alloc(5 * MIB), reason: 'too_large' },
      { offset: 2, value: null, reason: 'empty' },
      { offset: 4, partition: PARTITIONS },
      { offset: 5, value: Buffer.alloc(4.2 * MIB), reason: 'too_large' },
      { offset: 6 },
    ])
    expect(await replay()).equal(false)
    expect(appended()).deep.equal([`${TOKEN_EVENTS}-0 k bad 6`])
    const why = {
      [`${TOKEN_EVENTS}-0-1`]: 'the dead letter does not hold its value',
      [`${TOKEN_EVENTS}-0-2`]: 'the record had no value',
      [`${TOKEN_EVENTS}-${PARTITIONS}-4`]: `there is no partition ${TOKEN_EVENTS}-${PARTITIONS}`,
      [`${TOKEN_EVENTS}-0-5`]: 'its 4404020 bytes are more than lens.token-events takes',
    }
    for (const [place, words] of Object.entries(why)) {
      expect(fixture.text()).contain(`refused ${place}: ${words}`)
    }
    expect(fixture.text()).contain('sent: 1 (6 bytes); refused: 4; not found: 0\n')
  })

  it('sends a key that is no text as it was', async () => {
    const key = Buffer.of(0xff, 0x80)
    await fixture.refuse([{ offset: 3, key }])
    await replay()
    const log = await fixture.recording.memory.readAll(TOKEN_EVENTS, 0)
    expect(log.map((record) => [...record.key!])).deep.equal([[...key]])
  })

  it('sends many in few appends, none above what a topic takes', async () => {
    const value = Buffer.alloc(100 * 1024)
    await fixture.refuse(Array.from({ length: 40 }, (_, offset) => ({ offset, value })))
    await replay()
    const sizes = fixture.recording.appends.map(({ records }) => records.length)
    expect(sizes.reduce((sum, size) => sum + size, 0)).equal(40)
    expect(sizes.length).within(6, 9)
    expect(Math.max(...sizes)).equal(7)
  })

  it('ends, although what it sends comes back as a new dead letter', async () => {
    await fixture.refuse([{ offset: 0 }, { offset: 1 }, { offset: 2 }])
    let next = 3
    const bus = busThatDoes(() => fixture.refuse([{ offset: next++ }]))
    await replay({}, bus)
    expect(appended()).have.length(3)
    expect(JSON.parse(await fixture.list({ json: true })).count).greaterThan(3)
  })

  it('sends nothing twice when a rebalance delivers it all again', async () => {
    await fixture.refuse(Array.from({ length: 20 }, (_, offset) => ({ offset })))
    let rebalances = 0
    const bus = busThatDoes(async () => {
      if (rebalances++ < 2) fixture.recording.memory.rebalance()
    })
    await replay({}, bus)
    expect(rebalances).greaterThan(2)
    expect(new Set(appended()).size).equal(20)
    expect(appended()).have.length(20)
  })

  it('stops at an append of unknown outcome and says what may be there', async () => {
    await fixture.refuse(
      Array.from({ length: 20 }, (_, partition) => ({ partition: partition % 3, offset: 1 })),
    )
    const unknown = new LensError('send_outcome_unknown', 'no answer', { retryable: true })
    fixture.recording.faults.after = () => (fixture.recording.appends.length === 2 ? unknown : null)
    const error = await failureOf(replay())
    expect(error).instanceOf(LensError)
    const [, second] = fixture.recording.appends
    const place = `${TOKEN_EVENTS}-${second!.partition}-1`
    expect((error as Error).message).equal(
      `no answer\n1 records were sent before; ${place} may or may not be in ${TOKEN_EVENTS}; ` +
        'look with npm run lens -- tail before you replay them',
    )
    expect(fixture.recording.appends).have.length(2)
    expect(fixture.recording.sinks).deep.equal({ opened: 1, closed: 1 })
  })

  /** A bus that does something more in the middle of each append. */
  function busThatDoes(more: () => Promise<void>): Bus {
    const { bus } = fixture.recording
    return {
      ...bus,
      async sink() {
        const sink = await bus.sink()
        return {
          ...sink,
          async append(topic, partition, records) {
            await more()
            return sink.append(topic, partition, records)
          },
        }
      },
    }
  }
})
