import { expect } from 'chai'
import { recoveryOf, type Sample } from './progress.ts'

/** A look that took ten milliseconds: of each partition the end and what was committed. */
function look(beganMs: number, partitions: Readonly<Record<string, [end: number, done: number]>>) {
  const all = Object.entries(partitions)
  return {
    ...{ beganMs, endedMs: beganMs + 10 },
    ends: new Map(all.map(([key, [end]]) => [key, end])),
    committed: new Map(all.map(([key, [, done]]) => [key, done])),
  } satisfies Sample
}

describe('faults/progress', () => {
  it('takes a recovery from the kill until all that had a backlog were committed further', () => {
    const samples = [
      look(1_000, { a: [10, 5], b: [10, 5] }),
      look(1_400, { a: [10, 6], b: [10, 5] }),
      look(1_800, { a: [12, 10], b: [10, 10] }),
    ]
    expect(recoveryOf(samples, 900)).deep.equal({ sinceMs: 900, ms: 910 })
    expect(recoveryOf(samples, 900, new Set(['a']))).deep.equal({ sinceMs: 900, ms: 510 })
  })

  it('does not take the wait for work for a recovery', () => {
    const samples = [
      look(1_000, { a: [10, 10] }),
      look(60_000, { a: [10, 10] }),
      look(60_400, { a: [20, 10] }),
      look(60_800, { a: [20, 20] }),
    ]
    // The work came at 60,000 or later.
    expect(recoveryOf(samples, 900)).deep.equal({ sinceMs: 60_000, ms: 810 })
  })

  it('is endless while a backlog stays, and nothing where no work came', () => {
    const endless = { sinceMs: 900, ms: Number.POSITIVE_INFINITY }
    expect(recoveryOf([look(1_000, { a: [10, 5] })], 900)).deep.equal(endless)
    expect(recoveryOf([look(1_000, { a: [10, 10] })], 900)).to.equal(null)
    expect(recoveryOf([look(1_000, { a: [10, 5] })], 2_000)).to.equal(null)
  })
})
