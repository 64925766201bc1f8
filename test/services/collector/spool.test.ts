import { expect } from 'chai'
import fc from 'fast-check'
import { createFaultyLog, type Fate } from './faulty-sink.ts'
import { settled } from './hand-clock.ts'
import { folderOf, numbers, type Started, start, upTo } from './spool-fixture.ts'

/** Until `back` is set, no sink can be opened. */
function awayLog(fate: Fate = 'ok') {
  const state = { back: false }
  const log = createFaultyLog(
    () => fate,
    () => state.back,
  )
  return { log, comeBack: () => (state.back = true) }
}

/** The same number of records for each partition of topic a and for b. */
function addTo({ queue }: Started, from: number, end: number): void {
  for (let n = from; n < end; n++) queue.add(n % 2 === 0 ? 'a' : 'b', `k${n % 7}`, { n })
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, n) => total + n, 0)
}

function expectInOrder(lanes: Record<string, number[]>): void {
  for (const [place, lane] of Object.entries(lanes)) {
    expect(lane, place).to.deep.equal([...lane].sort((x, y) => x - y))
  }
}

describe('collector/spool', () => {
  it('takes what does not fit into memory, and sends all in order when the log is back', async () => {
    const { log, comeBack } = awayLog()
    const started = start(log, folderOf(), { recordsMax: 10 })
    const { queue, clock } = started
    for (let n = 0; n < 2000; n += 50) {
      addTo(started, n, n + 50)
      expect(queue.stats().queued).to.be.at.most(10)
      await clock.advance(500)
    }
    expect(queue.stats()).to.deep.include({ sent: 0, dropped: {}, unknown: 0 })
    expect(queue.stats().spool!.records).to.be.at.least(1990)
    comeBack()
    await clock.advance(2000)
    addTo(started, 2000, 2010)
    await clock.advance(10_000)
    const lanes = numbers(log)
    expectInOrder(lanes)
    expect(
      Object.values(lanes)
        .flat()
        .sort((x, y) => x - y),
    ).to.deep.equal(upTo(2010))
    const { spool, ...rest } = queue.stats()
    expect(rest).to.deep.equal({ sent: 2010, dropped: {}, unknown: 0, queued: 0 })
    expect(spool).to.include({ records: 0, bytes: 0, restored: 0, unknown: 0, setAside: 0 })
    expect(spool!.replayed).to.equal(spool!.written)
    expect(clock.waiting()).to.equal(0)
  })

  it('writes nothing while the log takes records', async () => {
    const log = createFaultyLog()
    const started = start(log, folderOf(), { recordsMax: 10 })
    for (let n = 0; n < 200; n += 10) {
      addTo(started, n, n + 10)
      await started.clock.advance(1000)
    }
    expect(started.queue.stats()).to.include({ sent: 200, queued: 0 })
    expect(started.queue.stats().spool).to.include({ written: 0 })
  })

  it('takes what waits for two seconds in a partition that is stuck, and lets others go on', async () => {
    const log = createFaultyLog(({ topic }) => (topic === 'b' ? 'silent' : 'ok'))
    const { queue, clock } = start(log, folderOf())
    queue.add('b', 'k', { n: 0 })
    await clock.advance(100)
    queue.add('b', 'k', { n: 1 })
    queue.add('a', 'k', { n: 2 })
    await clock.advance(1900)
    expect(queue.stats().spool).to.include({ records: 0 })
    await clock.advance(200)
    expect(queue.stats().spool).to.include({ records: 1 })
    expect(queue.stats()).to.include({ sent: 1, queued: 1 })
  })

  it('takes what is held up as soon as memory is half full', async () => {
    const { log } = awayLog()
    const started = start(log, folderOf(), { recordsMax: 100 })
    addTo(started, 0, 20)
    await started.clock.advance(100)
    addTo(started, 20, 50)
    await started.clock.advance(1000)
    expect(started.queue.stats().spool).to.include({ records: 0 })
    addTo(started, 50, 60)
    await started.clock.advance(100)
    expect(started.queue.stats().spool!.records).to.equal(40)
  })

  it('keeps what could not be sent by the deadline, before what came later', async () => {
    const { log, comeBack } = awayLog()
    const { queue, clock } = start(log, folderOf())
    for (let n = 0; n < 30; n++) {
      queue.add('b', 'k', { n })
      await clock.advance(1000)
    }
    comeBack()
    await clock.advance(6000)
    expect(numbers(log)).to.deep.equal({ 'b-0': upTo(30) })
    expect(queue.stats()).to.deep.include({ sent: 30, dropped: {}, unknown: 0, queued: 0 })
  })

  it('keeps the old and drops the newest when it is full, and counts them', async () => {
    const { log, comeBack } = awayLog()
    const started = start(log, folderOf(), { recordsMax: 10, spoolBytesMax: 50 * 60 })
    const { queue, clock, lines } = started
    for (let n = 0; n < 100; n++) queue.add('b', 'k', { n })
    const { spool, dropped, queued } = queue.stats()
    expect(spool!.records).to.be.within(50, 80)
    expect(spool!.bytes).to.be.at.most(50 * 60)
    expect(dropped).to.deep.equal({ spool_full: 100 - queued - spool!.records })
    expect(lines.filter((line) => line.includes('spool_full'))).to.have.length(1)
    comeBack()
    await clock.advance(3000)
    expect(numbers(log)['b-0']).to.deep.equal(upTo(100 - dropped.spool_full!))
    queue.add('b', 'k', { n: 100 })
    await clock.advance(1000)
    expect(numbers(log)['b-0']!.at(-1)).to.equal(100)
  })

  for (const fate of ['lost', 'lost_after', 'silent', 'silent_after'] as const) {
    it(`does not send again from it what may be in the log: ${fate}`, async () => {
      const { log, comeBack } = awayLog(fate)
      const { queue, clock } = start(log, folderOf())
      for (let n = 0; n < 20; n++) queue.add('b', 'k', { n })
      await clock.advance(8000)
      expect(queue.stats().spool).to.include({ records: 20 })
      comeBack()
      await clock.advance(20_000)
      expect(log.appends).to.have.length(1)
      const { spool, ...rest } = queue.stats()
      expect(rest).to.deep.equal({ sent: 0, dropped: {}, unknown: 20, queued: 0 })
      expect(spool).to.include({ records: 0, replayed: 0, written: 20 })
    })
  }

  it('drops from it what the log refuses', async () => {
    const { log, comeBack } = awayLog('refused')
    const { queue, clock } = start(log, folderOf())
    queue.add('b', 'k', { n: 0 })
    await clock.advance(8000)
    comeBack()
    await clock.advance(5000)
    expect(queue.stats()).to.deep.include({ dropped: { refused: 1 }, queued: 0 })
    expect(queue.stats().spool).to.include({ records: 0 })
  })

  it('puts in it at the close what is left, soon, and sends it first after a restart', async () => {
    const folder = folderOf()
    const away = awayLog()
    const first = start(away.log, folder)
    addTo(first, 0, 100)
    await first.clock.advance(3000)
    addTo(first, 100, 200)
    const closing = first.queue.close()
    await first.clock.advance(2100)
    await closing
    expect(first.queue.stats()).to.deep.include({ sent: 0, dropped: {}, unknown: 0, queued: 0 })
    expect(first.queue.stats().spool).to.include({ records: 200 })

    const log = createFaultyLog()
    const second = start(log, folder)
    addTo(second, 200, 300)
    await second.clock.advance(1000)
    const lanes = numbers(log)
    expectInOrder(lanes)
    expect(sum(Object.fromEntries(Object.entries(lanes).map(([k, v]) => [k, v.length])))).equal(300)
    expect(second.queue.stats()).to.include({ sent: 300, unknown: 0, queued: 0 })
    expect(second.queue.stats().spool).to.include({ restored: 200, replayed: 200, records: 0 })
  })

  it('waits at the close for a send that has begun, and calls it unknown at the deadline', async () => {
    const log = createFaultyLog(() => 'silent')
    const { queue, clock } = start(log, folderOf())
    queue.add('b', 'k', { n: 0 })
    await clock.advance(100)
    queue.add('b', 'k', { n: 1 })
    let closed = false
    const closing = queue.close().then(() => (closed = true))
    await clock.advance(4000)
    expect(closed).to.equal(false)
    await clock.advance(1500)
    await closing
    expect(queue.stats()).to.deep.include({ unknown: 1, dropped: {}, queued: 0 })
    expect(queue.stats().spool).to.include({ records: 1 })
  })

  // A killed process leaves what it had committed: a copy of the files, taken at any moment.
  it('loses nothing that it has taken and repeats nothing, wherever the process is killed', async () => {
    const fates = fc.constantFrom<Fate>(
      'ok',
      'ok',
      'ok',
      'unavailable',
      'lost',
      'lost_after',
      'silent',
      'silent_after',
      'silent_after',
    )
    const step = fc.tuple(fc.nat({ max: 30 }), fc.nat({ max: 3000 }))
    const steps = fc.array(step, { minLength: 1, maxLength: 12 })
    const script = fc.array(fates, { minLength: 1, maxLength: 8 })
    let replayed = 0
    await fc.assert(
      fc.asyncProperty(script, steps, fc.boolean(), async (fate, rounds, away) => {
        const log = createFaultyLog(
          (_, nth) => fate[nth % fate.length]!,
          (nth) => !away || nth % 5 === 4,
        )
        const folder = folderOf()
        const first = start(log, folder, { recordsMax: 20, deadlineMs: 2000 })
        let added = 0
        for (const [records, pauseMs] of rounds) {
          addTo(first, added, added + records)
          added += records
          await first.clock.advance(pauseMs)
        }
        const before = first.queue.stats()
        expect(before.dropped).to.deep.equal({})
        expect(before.sent + before.unknown + before.queued + before.spool!.records).equal(added)

        const later = createFaultyLog()
        const second = start(later, folderOf(folder), { deadlineMs: 2000 })
        await second.clock.advance(5000)
        const after = second.queue.stats()
        expect(after.sent + after.unknown).to.equal(after.spool!.restored)
        expect(after.spool!.restored).to.equal(before.spool!.records)
        replayed += after.spool!.replayed
        const both = { ...log, stored: [...log.stored, ...later.stored] }
        const lanes = numbers(both)
        const all = Object.values(lanes).flat()
        expect(new Set(all).size).to.equal(all.length)
        expectInOrder(lanes)
        await settled()
      }),
      { numRuns: 40 },
    )
    expect(replayed).to.be.greaterThan(20)
  })
})
