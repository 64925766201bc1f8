import { expect } from 'chai'
import fc from 'fast-check'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import type { Commit, Decoded } from '../../../services/core/processor.ts'
import { createLakeProcessor } from '../../../services/exporter/lake-processor.ts'
import type { LakeFile } from '../../../services/exporter/lake-range.ts'
import { T0_MS } from '../formats/records.ts'
import { assignment, ended, offsetsIn, partsOf } from './lake-log.ts'

const END_MS = T0_MS + 365 * 86_400_000

/** A member that owns the partition for a while. */
interface Member {
  /** Members need not be told the same. */
  readonly rowsMax: number
  readonly batches: readonly number[]
  readonly drains: boolean
  /** After so many steps, a put or a commit, it is over; what it had begun can land later. */
  readonly steps: number
}

const anyMember: fc.Arbitrary<Member> = fc.record({
  rowsMax: fc.integer({ min: 1, max: 6 }),
  batches: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 6 }),
  drains: fc.boolean(),
  steps: fc.integer({ min: 0, max: 12 }),
})

const anyLog = fc
  .array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 30 })
  .map((waits) => {
    let afterMs = 0
    return waits.map((waitMs, offset) => {
      afterMs += waitMs
      return ended(offset, afterMs, { started_at: (T0_MS + offset * 1_200_000) * 1000 })
    })
  })

interface Lake {
  readonly files: Map<string, LakeFile>
  /** Puts of members that were over by then, or were given up and done again. */
  readonly late: LakeFile[]
  committed: Commit | null
}

/** Lets a member do its work, as far as it comes. */
function own(lake: Lake, log: readonly Decoded[], { rowsMax, batches, drains, steps }: Member) {
  const options = { rollMs: 60_000, rowsMax }
  const processor = createLakeProcessor(assignment(lake.committed), options)
  let next = processor.startOffset ?? 0
  let left = steps
  function* plans() {
    for (const size of batches) {
      const records = log.slice(next, next + size)
      next += records.length
      yield processor.onBatch({ topic: TOKEN_EVENTS, partition: 0, records })
      const brokerMs = log[next]?.appendMs ?? END_MS
      yield processor.onTick({ brokerMs, caughtUp: next >= log.length })
    }
    if (drains) yield processor.onDrain()
  }
  for (const plan of plans()) {
    for (const { effects, commit } of partsOf(plan)) {
      for (const file of effects) {
        lake.late.push(file)
        if (left-- <= 0) return
        lake.files.set(file.path, file)
      }
      if (commit && left-- <= 0) return
      if (commit) lake.committed = commit
    }
  }
}

describe('exporter/lake-processor, one owner after the other', () => {
  it('writes each row once, whenever an owner ends and however late its puts land', () => {
    fc.assert(
      fc.property(anyLog, fc.array(anyMember, { maxLength: 5 }), (log, members) => {
        const lake: Lake = { files: new Map(), late: [], committed: null }
        for (const member of members) own(lake, log, member)
        own(lake, log, { rowsMax: 3, batches: [log.length], drains: true, steps: 1_000 })
        for (const file of lake.late) lake.files.set(file.path, file)
        const rows = [...lake.files.values()].flatMap(offsetsIn).sort((a, b) => a - b)
        expect(rows).to.deep.equal(log.map(({ offset }) => offset))
      }),
      { numRuns: 500 },
    )
  }).timeout(60_000)
})
