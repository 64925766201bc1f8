import { expect } from 'chai'
import { LensError } from '../../../services/core/errors.ts'
import type { Assignment } from '../../../services/core/processor.ts'
import {
  createFixture,
  echo,
  echoSpec,
  type Fixture,
  GROUP,
  INPUT,
  idle,
  NOTHING,
  OUTPUT,
  output,
} from './stage-fixture.ts'

describe('bus/run', () => {
  let fixture: Fixture
  let seen: string[]
  beforeEach(async () => {
    fixture = await createFixture(2)
    seen = []
  })

  it('publishes, carries out the effects and then commits', async () => {
    const carryOut = async (effect: string): Promise<void> =>
      void fixture.trace.push(`effect ${effect}`)
    await fixture.start(echoSpec(seen, { create: echo(seen, {}, true), carryOut }))
    await fixture.produce(0, 7, 8)
    await fixture.memory.settle()
    expect(seen).to.deep.equal(['good 7 of 0', 'good 8 of 0'])
    expect(fixture.trace).to.deep.equal([
      `append ${OUTPUT}-0 2`,
      'effect 7',
      'effect 8',
      'commit 0 2',
    ])
    expect(await fixture.committed(0)).to.deep.equal({ offset: 2, metadata: 'after 2' })
  })

  it('does not commit before every output is acknowledged', async () => {
    let failures = 3
    fixture.faults.before = ({ topic }) => {
      fixture.trace.push(`try ${topic}`)
      const unknown = new LensError('send_outcome_unknown', 'no answer', { retryable: true })
      return failures-- > 0 ? unknown : null
    }
    await fixture.start(echoSpec(seen))
    await fixture.produce(0, 1)
    await fixture.memory.settle()
    const tries = Array.from({ length: 4 }, () => `try ${OUTPUT}`)
    expect(fixture.trace).to.deep.equal([...tries, 'commit 0 1'])
  })

  it('puts a bad record into lens.dead-letters, byte for byte, and goes on with the next', async () => {
    await fixture.start(echoSpec(seen))
    const bytes = Buffer.from('this is not Avro')
    await fixture.produce(1, 1)
    await fixture.produceBytes(1, bytes)
    await fixture.produce(1, 2)
    await fixture.memory.settle()
    expect(seen).to.deep.equal(['good 1 of 1', 'bad 1 bad_magic of 1', 'good 2 of 1'])
    const [letter, ...others] = await fixture.deadLetters()
    expect(others).to.deep.equal([])
    const place = { topic: INPUT, partition: 1, offset: 1, stage: 'echo', reason: 'bad_magic' }
    expect(letter).to.deep.include({ ...place, key: Buffer.from('bad'), value: bytes })
    expect(await fixture.outputs(1)).to.deep.equal([1, 2])
    expect(fixture.health.totals()).to.deep.include({ in: 3, dead: 1, out: 2 })
  })

  it('does not commit past a bad record before its dead letter is acknowledged', async () => {
    await fixture.start(echoSpec(seen))
    await fixture.produceBytes(0, Buffer.of(1))
    await fixture.memory.settle()
    expect(fixture.trace.at(-1)).to.equal('commit 0 1')
    expect(fixture.trace[0]).to.match(/^append lens\.dead-letters-\d 1$/)
  })

  it('leaves dead letters to another stage when told so', async () => {
    await fixture.start(echoSpec(seen, { deadLetters: false }))
    await fixture.produceBytes(0, Buffer.of(1))
    await fixture.memory.settle()
    expect(seen).to.deep.equal(['bad 0 bad_magic of 0'])
    expect(await fixture.deadLetters()).to.deep.equal([])
  })

  it('ends at a bug of the processor', async () => {
    const onBatch = () => {
      throw new Error('bug: it is')
    }
    await fixture.start(echoSpec(seen, { create: echo(seen, { onBatch }) }))
    await fixture.produce(0, 5)
    await fixture.memory.settle()
    expect(fixture.failures).to.have.length(1)
    expect(await fixture.committed(0)).to.equal(null)
  })

  it('flushes and commits what a drain gives, then leaves the group', async () => {
    const onDrain = () => ({
      ...NOTHING,
      outputs: [output(42, 0)],
      commit: { offset: 1, metadata: 'drained' },
    })
    const create = echo(seen, { onBatch: () => NOTHING, onDrain })
    const stage = await fixture.start(echoSpec(seen, { create }))
    await fixture.produce(0, 5)
    await fixture.memory.settle()
    expect(fixture.trace).to.deep.equal([])
    await stage.stop()
    expect(await fixture.committed(0)).to.deep.equal({ offset: 1, metadata: 'drained' })
    expect(await fixture.outputs(0)).to.include(42)
    await fixture.produce(0, 6)
    await fixture.memory.settle()
    await stage.stop()
    expect(fixture.trace.filter((line) => line.startsWith('commit'))).to.have.length(2)
  })

  it('hands the processor what it is created from', async () => {
    const assignments: Assignment[] = []
    const create = (assignment: Assignment) => {
      assignments.push(assignment)
      return echo(seen)(assignment)
    }
    const first = await fixture.start(echoSpec(seen, { create }))
    await fixture.produce(0, 1, 2)
    await fixture.memory.settle()
    await first.stop()
    await fixture.start(echoSpec(seen, { create }))
    await fixture.memory.settle()
    const fresh = { topic: INPUT, committed: null, firstOffset: 0, changelog: [] }
    const brief = assignments.map(({ partitions, ...rest }) => rest)
    expect(brief).to.deep.include.members([
      { ...fresh, partition: 0 },
      { ...fresh, partition: 1 },
      { ...fresh, partition: 0, committed: { offset: 2, metadata: 'after 2' } },
    ])
    expect(assignments[0]!.partitions).to.include({ [INPUT]: 2, [OUTPUT]: 2 })
  })

  it('is caught up when everything that was there has been committed', async () => {
    const lazy = echo(seen, { onBatch: () => NOTHING })
    const stage = await fixture.start(echoSpec(seen))
    expect(await stage.isCaughtUp()).to.equal(true)
    await fixture.produce(1, 1)
    expect(await stage.isCaughtUp()).to.equal(false)
    await fixture.memory.settle()
    expect(await stage.isCaughtUp()).to.equal(true)
    await stage.stop()
    const other = await fixture.start(echoSpec(seen, { group: 'lazy', create: lazy }))
    expect(await other.hasReadAll()).to.equal(false)
    await fixture.memory.settle()
    expect(await other.isCaughtUp(), 'read, but not committed').to.equal(false)
    expect(await other.hasReadAll()).to.equal(true)
  })

  it('joins the group of its name and none other', async () => {
    await fixture.start(echoSpec(seen))
    await fixture.start(echoSpec(seen, { group: 'other' }))
    await fixture.produce(0, 1)
    await fixture.memory.settle()
    expect(seen).to.deep.equal(['good 1 of 0', 'good 1 of 0'])
    expect(await fixture.memory.source(GROUP, []).committed(INPUT, 0)).to.include({ offset: 1 })
  })

  it('says which partitions it has', async () => {
    await fixture.start(echoSpec(seen))
    for (let i = 0; i < 2; i++) await fixture.start(echoSpec(seen))
    expect(fixture.lines).to.include.members([
      `echo: partitions ${INPUT}-0 ${INPUT}-1`,
      `echo: partitions ${INPUT}-1`,
      'echo: no partitions',
    ])
  })

  it('knows the end of each of its topics', async () => {
    const ticks: string[] = []
    const create = (assignment: Assignment) =>
      echo(seen, {
        onTick({ caughtUp }) {
          ticks.push(`${assignment.topic}-${assignment.partition} ${caughtUp}`)
          return NOTHING
        },
      })(assignment)
    const stage = await fixture.start(echoSpec(seen, { topics: [INPUT, OUTPUT], create }))
    while (!(await stage.hasReadAll())) await new Promise(setImmediate)
    await fixture.produce(1, 1)
    await stage.tick()
    expect(ticks.sort()).to.deep.equal([
      `${INPUT}-0 true`,
      `${INPUT}-1 false`,
      `${OUTPUT}-0 true`,
      `${OUTPUT}-1 true`,
    ])
  })

  it('says so once when it cannot ask for the ends, asks again at each tick, and says that too', async () => {
    let ticks = 0
    const onTick = () => {
      ticks++
      return NOTHING
    }
    const stage = await fixture.start(echoSpec(seen, { create: echo(seen, { onTick }) }))
    await new Promise(setImmediate)
    const { offsets } = fixture.memory
    const bus = fixture.bus as { offsets: typeof offsets }
    bus.offsets = () => Promise.reject(new LensError('broker_unavailable', 'no broker answers'))
    const before = fixture.lines.length
    for (let i = 0; i < 3; i++) await stage.tick()
    const away = 'echo: no broker answers; asked again until it answers'
    expect([ticks, ...fixture.lines.slice(before)]).to.deep.equal([0, away])
    bus.offsets = offsets
    for (let i = 0; i < 2; i++) await stage.tick()
    expect([ticks, fixture.failures]).to.deep.equal([2, []])
    const lines = [away, 'echo: the broker answers again']
    expect(fixture.lines.slice(before)).to.deep.equal(lines)
  })

  it('asks for the ends once at a time, and only when a partition is due', async () => {
    const stage = await fixture.start(echoSpec(seen))
    await idle()
    const { offsets } = fixture.memory
    const answer = Promise.withResolvers<void>()
    let asked = 0
    const bus = fixture.bus as { offsets: typeof offsets }
    bus.offsets = async (topic) => {
      asked++
      await answer.promise
      return offsets(topic)
    }
    const ticking = [stage.tick(), stage.tick(), stage.tick()]
    expect(asked).to.equal(1)
    answer.resolve()
    await Promise.all(ticking)
    await stage.tick()
    expect(asked, 'nothing is due any more').to.equal(1)
  })

  it('stops once', async () => {
    const stage = await fixture.start(echoSpec(seen))
    await fixture.produce(0, 1)
    await fixture.memory.settle()
    await Promise.all([stage.stop(), stage.stop()])
    await stage.stop()
    expect(fixture.sinks).to.deep.equal({ opened: 1, closed: 1 })
  })
})
