import { createHash } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import type { Decoded, Plan } from '../../../services/core/processor.ts'
import type { LakeFile, LakeRange } from '../../../services/exporter/lake-range.ts'
import { T0_MS } from '../formats/records.ts'
import {
  broken,
  bytesOf,
  ended,
  give,
  offsetsIn,
  processorOf,
  requestsIn,
  running,
  whole,
} from './lake-log.ts'

const ROLL_MS = 60_000
const OPTIONS = { rollMs: ROLL_MS, rowsMax: 6 }
const END_MS = T0_MS + 365 * 86_400_000

/** A log whose append times never fall, with gaps in its offsets and event times hours apart. */
const anyLog: fc.Arbitrary<Decoded[]> = fc
  .array(
    fc.record({
      step: fc.integer({ min: 1, max: 3 }),
      waitMs: fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: 0, max: 15_000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 15_000, max: 200_000 }) },
      ),
      kind: fc.constantFrom('ended', 'ended', 'ended', 'running', 'broken'),
      lateHours: fc.constantFrom(0, 0, 0, 1, 30),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((steps) => {
    let offset = 99
    let afterMs = 0
    return steps.map(({ step, waitMs, kind, lateHours }) => {
      offset += step
      afterMs += waitMs
      if (kind === 'running') return running(offset, afterMs)
      if (kind === 'broken') return broken(offset, afterMs)
      return ended(offset, afterMs, {
        started_at: (T0_MS + afterMs - lateHours * 3_600_000) * 1000,
      })
    })
  })

/** How a log is delivered: after each record, does its batch end, and does time pass then? */
const anyDelivery = fc.array(fc.constantFrom('same batch', 'new batch', 'tick'), {
  minLength: 60,
  maxLength: 60,
})

interface Outcome {
  /** Hash of the bytes by path, the last one put. */
  readonly files: ReadonlyMap<string, string>
  readonly commits: readonly number[]
  readonly plans: readonly Plan<LakeRange>[]
}

/** Delivers a log from a committed offset on, and lets the idle partition be cut at the end. */
function deliver(log: readonly Decoded[], delivery: readonly string[], from?: number): Outcome {
  const processor = processorOf(OPTIONS, from)
  const rest = log.filter((record) => record.offset >= (from ?? 0))
  const plans: Plan<LakeRange>[] = []
  let batch: Decoded[] = []
  rest.forEach((record, i) => {
    batch.push(record)
    if (delivery[i] === 'same batch' && i < rest.length - 1) return
    plans.push(give(processor, batch))
    batch = []
    // The clock never shows more than the append time of what is still to come.
    const brokerMs = rest[i + 1]?.appendMs ?? END_MS
    if (delivery[i] === 'tick') plans.push(whole(processor.onTick({ brokerMs, caughtUp: true })))
  })
  plans.push(whole(processor.onTick({ brokerMs: END_MS, caughtUp: true })))
  const effects = plans.flatMap((plan) => plan.effects)
  return {
    files: new Map(
      effects.flatMap((effect) => effect.files.map((file) => [file.path, hashOf(file, effect)])),
    ),
    commits: plans.flatMap(({ commit }) => (commit ? [commit.offset] : [])),
    plans,
  }
}

function hashOf(file: LakeFile, { range }: LakeRange): string {
  return createHash('sha256').update(bytesOf(file, range)).digest('hex')
}

const WHOLE = new Array<string>(60).fill('same batch')

describe('exporter/lake-processor, any log', function () {
  this.timeout(120_000)

  it('writes the same files with the same bytes however the log is delivered', () => {
    fc.assert(
      fc.property(anyLog, anyDelivery, (log, delivery) => {
        const whole = deliver(log, WHOLE)
        const split = deliver(log, delivery)
        expect(split.files).to.deep.equal(whole.files)
        expect(split.commits.at(-1)).to.equal(whole.commits.at(-1))
      }),
      { numRuns: 100 },
    )
  })

  it('writes each row once, in ranges that tile the log', () => {
    fc.assert(
      fc.property(anyLog, anyDelivery, (log, delivery) => {
        const { plans } = deliver(log, delivery)
        const effects = plans.flatMap((plan) => plan.effects)
        const wanted = log.filter((r) => (r.value as { end?: unknown } | undefined)?.end)
        const written = effects
          .flatMap(({ files }) => requestsIn(files).flatMap(offsetsIn))
          .sort((a, b) => a - b)
        expect(written).to.deep.equal(wanted.map((record) => record.offset))
        let next = log[0]!.offset
        for (const plan of plans) {
          for (const { range } of plan.effects) expect(range.from).to.be.at.least(next)
          next = plan.commit?.offset ?? next
          for (const { range } of plan.effects) expect(range.to).to.be.at.most(next)
        }
        expect(next).to.equal(log.at(-1)!.offset + 1)
        const files = effects.flatMap((effect) => effect.files)
        expect(files.every((file) => file.rows.length <= OPTIONS.rowsMax)).to.equal(true)
      }),
      { numRuns: 300 },
    )
  })

  it('writes the same bytes again after a crash at any commit', () => {
    fc.assert(
      fc.property(anyLog, anyDelivery, fc.nat(), (log, delivery, pick) => {
        const first = deliver(log, WHOLE)
        const committed = deliver(log, delivery).commits
        const from = committed[pick % committed.length]!
        const again = deliver(log, delivery, from)
        const later = [...first.files].filter(([path]) => Number(path.slice(-28, -8)) >= from)
        expect([...again.files].sort()).to.deep.equal(later.sort())
      }),
      { numRuns: 100 },
    )
  })
})
