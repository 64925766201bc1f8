import { expect } from 'chai'
import fc from 'fast-check'
import { createQueue, type QueueOptions } from '../../../services/collector/queue.ts'
import { partitionOf } from '../../../services/core/hash.ts'
import { createFaultyLog, type Fate, type FaultyLog } from './faulty-sink.ts'
import { createHandClock } from './hand-clock.ts'

const PARTITIONS = { a: 4, b: 1 }

function encode(_topic: string, value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function start(log: FaultyLog, more: Partial<QueueOptions> = {}) {
  const clock = createHandClock()
  const lines: string[] = []
  const queue = createQueue({
    sink: log.open,
    encode,
    partitions: PARTITIONS,
    flushMs: 100,
    deadlineMs: 5000,
    log: (line) => lines.push(line),
    clock,
    timers: clock,
    ...more,
  })
  return { queue, clock, lines }
}

/** The values in the log, by topic-partition. */
function values({ stored }: FaultyLog): Record<string, unknown[]> {
  const all: Record<string, unknown[]> = {}
  for (const { topic, partition, records } of stored) {
    const place = `${topic}-${partition}`
    all[place] ??= []
    for (const { value } of records) all[place].push(JSON.parse(Buffer.from(value).toString()).n)
  }
  return all
}

describe('collector/queue', () => {
  it('sends what was added within a flush, one append for each partition, in order', async () => {
    const log = createFaultyLog()
    const { queue, clock } = start(log)
    for (let n = 0; n < 40; n++) queue.add('a', `key${n % 7}`, { n })
    queue.add('b', 'x', { n: 100 })
    await clock.advance(99)
    expect(log.appends).to.deep.equal([])
    expect(queue.stats()).to.deep.equal({ sent: 0, dropped: {}, unknown: 0, queued: 41 })
    await clock.advance(1)
    const places = log.appends.map(({ topic, partition }) => `${topic}-${partition}`)
    expect(new Set(places).size).to.equal(places.length)
    const expected: Record<string, number[]> = { 'b-0': [100] }
    for (let n = 0; n < 40; n++) {
      const place = `a-${partitionOf(`key${n % 7}`, 4)}`
      expected[place] ??= []
      expected[place].push(n)
    }
    expect(values(log)).to.deep.equal(expected)
    for (const { records, partition } of log.appends.filter(({ topic }) => topic === 'a')) {
      for (const { key } of records) expect(partitionOf(String(key), 4)).to.equal(partition)
    }
    expect(queue.stats()).to.deep.equal({ sent: 41, dropped: {}, unknown: 0, queued: 0 })
    expect(log.opened()).to.equal(1)
    expect(clock.waiting()).to.equal(0)
  })

  it('cuts a large lot into several appends', async () => {
    const log = createFaultyLog()
    const { queue, clock } = start(log)
    for (let n = 0; n < 5; n++) queue.add('b', 'k', { n, text: 'x'.repeat(200_000) })
    await clock.advance(100)
    expect(log.appends.map(({ records }) => records.length)).to.deep.equal([2, 2, 1])
    expect(values(log)).to.deep.equal({ 'b-0': [0, 1, 2, 3, 4] })
  })

  it('has one append under way in a partition, and lets the others go on', async () => {
    const log = createFaultyLog(({ topic }) => (topic === 'b' ? 'silent' : 'ok'))
    const { queue, clock } = start(log)
    queue.add('b', 'k', { n: 0 })
    await clock.advance(100)
    queue.add('b', 'k', { n: 1 })
    queue.add('a', 'k', { n: 2 })
    await clock.advance(1000)
    expect(log.appends.map(({ topic }) => topic)).to.deep.equal(['b', 'a'])
    expect(queue.stats()).to.include({ sent: 1, queued: 2 })
  })

  it('drops the newest when it is full, by records and by bytes, and says so once', async () => {
    const { queue, lines } = start(createFaultyLog(), { recordsMax: 2, bytesMax: 100 })
    queue.add('b', 'k', { n: 'x'.repeat(200) })
    for (let n = 0; n < 5; n++) queue.add('b', 'k', { n })
    const dropped = { bytes_full: 1, records_full: 3 }
    expect(queue.stats()).to.deep.equal({ sent: 0, dropped, unknown: 0, queued: 2 })
    expect(lines).to.have.length(2)
  })

  it('has room again when what it held is settled', async () => {
    const log = createFaultyLog((_, nth) => (nth % 2 === 0 ? 'lost' : 'ok'))
    const { queue, clock } = start(log, { recordsMax: 1, bytesMax: 20 })
    for (let n = 0; n < 10; n++) {
      queue.add('b', 'k', { n })
      await clock.advance(100)
    }
    expect(queue.stats()).to.deep.equal({ sent: 5, dropped: {}, unknown: 5, queued: 0 })
  })

  it('counts what cannot be encoded, and what belongs to no topic', () => {
    const { queue } = start(createFaultyLog())
    queue.add('b', 'k', { n: 1n })
    queue.add('nowhere', 'k', { n: 1 })
    expect(queue.stats().dropped).to.deep.equal({ not_encodable: 2 })
  })

  for (const fate of ['lost', 'lost_after', 'foreign'] as const) {
    it(`does not send again what may be in the log, and takes a new sink: ${fate}`, async () => {
      const log = createFaultyLog((_, nth) => (nth === 1 ? fate : 'ok'))
      const { queue, clock } = start(log)
      queue.add('b', 'k', { n: 0 })
      await clock.advance(100)
      queue.add('b', 'k', { n: 1 })
      await clock.advance(10_000)
      expect(log.appends.map(({ sink }) => sink)).to.deep.equal([0, 1])
      expect(log.closed).to.deep.equal([0])
      expect(values(log)['b-0']).to.deep.equal(fate === 'lost_after' ? [0, 1] : [1])
      expect(queue.stats()).to.deep.equal({ sent: 1, dropped: {}, unknown: 1, queued: 0 })
    })
  }

  it('takes an append without an answer for unknown at the deadline', async () => {
    const log = createFaultyLog((_, nth) => (nth === 1 ? 'silent' : 'ok'))
    const { queue, clock } = start(log)
    queue.add('b', 'k', { n: 0 })
    await clock.advance(100)
    queue.add('b', 'k', { n: 1 })
    await clock.advance(4999)
    expect(queue.stats()).to.include({ unknown: 0, queued: 2 })
    await clock.advance(200)
    expect(queue.stats()).to.include({ sent: 1, unknown: 1, queued: 0 })
    expect(log.closed).to.deep.equal([0])
  })

  it('sends again, later and later, what certainly is not in the log', async () => {
    const log = createFaultyLog((_, nth) => (nth < 4 ? 'unavailable' : 'ok'))
    const { queue, clock } = start(log)
    queue.add('b', 'k', { n: 0 })
    await clock.advance(100 + 50 + 100 + 199)
    expect(log.appends).to.have.length(3)
    await clock.advance(1)
    expect(queue.stats()).to.deep.equal({ sent: 1, dropped: {}, unknown: 0, queued: 0 })
    expect(values(log)).to.deep.equal({ 'b-0': [0] })
  })

  it('gives up at the deadline, and at once what is refused', async () => {
    const log = createFaultyLog(({ topic }) => (topic === 'a' ? 'refused' : 'unavailable'))
    const { queue, clock } = start(log)
    queue.add('b', 'k', { n: 0 })
    queue.add('a', 'k', { n: 1 })
    await clock.advance(200)
    expect(queue.stats().dropped).to.deep.equal({ refused: 1 })
    await clock.advance(5000)
    const dropped = { refused: 1, broker_unavailable: 1 }
    expect(queue.stats()).to.deep.equal({ sent: 0, dropped, unknown: 0, queued: 0 })
    expect(log.stored).to.deep.equal([])
  })

  it('waits for a broker that is not there yet', async () => {
    const log = createFaultyLog(undefined, (nth) => nth >= 3)
    const { queue, clock } = start(log)
    queue.add('b', 'k', { n: 0 })
    await clock.advance(1000)
    expect(queue.stats()).to.include({ sent: 1, queued: 0 })
    expect(log.appends.map(({ sink }) => sink)).to.deep.equal([3])
  })

  it('sends nothing with a sink that came after the deadline', async () => {
    const log = createFaultyLog()
    let arrive = () => {}
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve
    })
    const { queue, clock } = start(log, { sink: () => arrived.then(log.open) })
    queue.add('b', 'k', { n: 0 })
    await clock.advance(5200)
    expect(queue.stats().dropped).to.deep.equal({ broker_unavailable: 1 })
    arrive()
    await clock.advance(1000)
    expect(log.appends).to.deep.equal([])
  })

  it('sends what is left when it closes, and takes nothing more', async () => {
    const log = createFaultyLog((_, nth) => (nth === 1 ? 'unavailable' : 'ok'))
    const { queue, clock } = start(log)
    queue.add('b', 'k', { n: 0 })
    const closing = queue.close()
    queue.add('b', 'k', { n: 1 })
    await clock.advance(60)
    await closing
    await queue.close()
    expect(queue.stats()).to.deep.equal({ sent: 1, dropped: { closed: 1 }, unknown: 0, queued: 0 })
    expect(log.closed).to.deep.equal([0, 1])
    expect(clock.waiting()).to.equal(0)
  })

  it('closes at its deadline, and tells what waited from what was under way', async () => {
    const log = createFaultyLog(() => 'silent')
    const { queue, clock } = start(log, { deadlineMs: 1000 })
    queue.add('b', 'k', { n: 0 })
    await clock.advance(900)
    queue.add('b', 'k', { n: 1 })
    queue.add('b', 'k', { n: 2 })
    const closing = queue.close()
    await clock.advance(150)
    expect(log.appends).to.have.length(1)
    await clock.advance(2000)
    await closing
    const { dropped, unknown, queued } = queue.stats()
    expect(unknown + (dropped.close_deadline ?? 0)).to.equal(3)
    expect(queued).to.equal(0)
  })

  it('accounts for every record, and never has one twice in the log', async () => {
    const fates = fc.constantFrom<Fate>(
      'ok',
      'ok',
      'ok',
      'unavailable',
      'refused',
      'lost',
      'lost_after',
      'silent',
    )
    const steps = fc.array(fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 900 })), { maxLength: 15 })
    await fc.assert(
      fc.asyncProperty(fc.array(fates, { minLength: 1 }), steps, async (script, rounds) => {
        const log = createFaultyLog(
          (_, nth) => script[nth % script.length]!,
          (nth) => nth % 5 !== 2,
        )
        const { queue, clock } = start(log, { recordsMax: 50, deadlineMs: 2000 })
        let added = 0
        for (const [records, pauseMs] of rounds) {
          for (let i = 0; i < records; i++) queue.add('a', `k${added % 5}`, { n: added++ })
          await clock.advance(pauseMs)
        }
        const closing = queue.close()
        await clock.advance(5000)
        await closing
        const { sent, unknown, dropped, queued } = queue.stats()
        const lost = Object.values(dropped).reduce((sum, n) => sum + n, 0)
        expect(sent + unknown + lost).to.equal(added)
        expect(queued).to.equal(0)
        const stored = Object.values(values(log)).flat()
        expect(new Set(stored).size).to.equal(stored.length)
        expect(stored.length).to.be.within(sent, sent + unknown)
        for (const lane of Object.values(values(log))) {
          expect(lane).to.deep.equal([...lane].sort((a, b) => Number(a) - Number(b)))
        }
      }),
      { numRuns: 60 },
    )
  })
})
