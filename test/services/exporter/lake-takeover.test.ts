import { expect } from 'chai'
import fc from 'fast-check'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import type { Commit, Decoded } from '../../../services/core/processor.ts'
import type { LakeRange } from '../../../services/exporter/lake-range.ts'
import type { Cells } from '../../../services/formats/column.ts'
import {
  MARKERS,
  markerPath,
  type OffsetRange,
  type RangeCut,
} from '../../../services/lake/range-marker.ts'
import { tileFaults } from '../../../services/lake/tiles.ts'
import { T0_MS } from '../formats/records.ts'
import { ended, ownerAfter, partsOf } from './lake-log.ts'

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

type Tile = OffsetRange & RangeCut

/** What is put: the rows of a file, or a marker. */
type Put = readonly [path: string, content: readonly Cells[] | Tile]

interface Lake {
  readonly objects: Map<string, Put[1]>
  /** Puts of members that were over by then, or were given up and done again. */
  readonly late: Put[]
  committed: Commit | null
}

/** Nothing is put over another; a name that comes again must be of the same. */
function land({ objects }: Lake, [path, content]: Put): void {
  expect(content, path).to.deep.equal(objects.get(path) ?? content)
  objects.set(path, content)
}

function putsOf({ files, range, cut }: LakeRange): Put[] {
  const rows = files.map(({ path, rows }): Put => [path, rows])
  return [...rows, [markerPath(range), { ...range, ...cut }]]
}

/** Lets a member do its work, as far as it comes. */
function own(lake: Lake, log: readonly Decoded[], { rowsMax, batches, drains, steps }: Member) {
  const options = { rollMs: 60_000, rowsMax }
  const processor = ownerAfter(lake.committed, options)
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
      for (const put of effects.flatMap(putsOf)) {
        lake.late.push(put)
        if (left-- <= 0) return
        land(lake, put)
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
        const lake: Lake = { objects: new Map(), late: [], committed: null }
        for (const member of members) own(lake, log, member)
        own(lake, log, { rowsMax: 3, batches: [log.length], drains: true, steps: 1_000 })
        for (const put of lake.late) land(lake, put)
        const all = [...lake.objects]
        for (const dataset of ['requests/', 'token_events/']) {
          const files = all.filter(([path]) => path.startsWith(dataset))
          const rows = files.flatMap(([, content]) => content as readonly Cells[])
          const offsets = rows.map((cells) => cells.at(-1) as number).sort((x, y) => x - y)
          expect(offsets, dataset).to.deep.equal(log.map(({ offset }) => offset))
        }
        const markers = all.filter(([path]) => path.startsWith(MARKERS))
        const ranges = markers.map(([, content]) => content as Tile)
        expect(tileFaults(ranges)).to.deep.equal([])
        expect(Math.max(...ranges.map(({ to }) => to))).to.equal(log.length)
      }),
      { numRuns: 500 },
    )
  }).timeout(60_000)
})
