import { assert } from '../core/errors.ts'
import type { Assignment, Commit, Decoded, Plan, Processor } from '../core/processor.ts'
import { datasetsOf } from '../formats/datasets.ts'
import type { CutRule, RangeCut } from '../lake/range-marker.ts'
import type { LakeBudget } from './lake-budget.ts'
import {
  addRecord,
  createLakeStats,
  fullBy,
  type LakeRange,
  type LakeStats,
  lakeRange,
  type OpenRange,
  openRange,
  type RangeBounds,
} from './lake-range.ts'

export interface LakeOptions extends RangeBounds {
  /** Length of a roll interval in milliseconds; intervals are aligned to the epoch. */
  readonly rollMs: number
}

type LakePlan = Plan<LakeRange>
export type LakeProcessor = Processor<LakeRange> & { readonly stats: Readonly<LakeStats> }

/** An idle range is cut this long after its interval, against clocks that differ. */
export const IDLE_MARGIN_MS = 2000
const RETRY_MS = 1000

/**
 * Turns one topic-partition into files of the lake. A range [from, to) ends before the first record
 * whose append time lies in a later roll interval than that of the range's first record, or after
 * the record that fills it or, with others, the memory, or where a drain finds it; the clock only
 * notices that an idle partition's interval is over, or that the memory is needed.
 *
 * Before its files are put, the end of a range is committed, as metadata of its start: the plan.
 * The group takes it from the owner only, and whoever owns the partition next ends the range there
 * and nowhere else. So whoever puts a file of this name, however late, puts the same bytes.
 */
export function createLakeProcessor(
  assignment: Assignment,
  options: LakeOptions,
  budget: LakeBudget,
): LakeProcessor {
  const { topic, partition, committed } = assignment
  const datasets = datasetsOf(topic)
  assert(datasets.length > 0, `no dataset is made from ${topic}`)
  const stats = createLakeStats()
  const memory = budget.partition(`${topic}-${partition}`)
  const intervalOf = (appendMs: number): number => Math.floor(appendMs / options.rollMs)
  const dueMs = (range: OpenRange): number => {
    return (range.interval + 1) * options.rollMs + IDLE_MARGIN_MS
  }
  /** Others may need the memory before. */
  const lookMs = (range: OpenRange): number => Math.min(dueMs(range), range.lastMs + RETRY_MS)
  let next: number | null = committed?.offset ?? null
  let open: OpenRange | null = null
  /** Where the earlier owner said that the range ends. */
  let planned = readPlan(committed)
  /** Bytes of the range that is being written. */
  let underWay = 0
  /** Ranges that have ended, and whose plan is to be committed. */
  const ended: OpenRange[] = []

  function cut(rule: CutRule): void {
    if (open === null) return
    const { anew } = open.cut
    open.cut = planned?.cut ?? { rule, anew }
    ended.push(open)
    open = null
    planned = null
  }

  function isBefore({ offset, appendMs }: Decoded, range: OpenRange): boolean {
    if (planned !== null) return offset < planned.end
    return intervalOf(appendMs) <= range.interval
  }

  function add(record: Decoded): void {
    const { offset, appendMs } = record
    assert(next === null || offset >= next, `offset ${offset} was given again`)
    if (open !== null && !isBefore(record, open)) cut('time')
    // Retention took what was planned: the file of that name, if there is one, stays as it is.
    if (open === null && planned !== null && offset >= planned.end) {
      next = planned.end
      planned = null
    }
    // Offsets that hold no record belong to the range after them, so that ranges tile the log.
    const from: number = next ?? offset
    const interval = intervalOf(appendMs)
    const begun = { rule: 'time', anew: next === null } as const
    open ??= openRange({ topic, partition, from, interval, cut: begun })
    const before = open.bytes
    addRecord(open, record, datasets, stats)
    memory.take(open.bytes - before)
    next = open.to
    if (planned === null) {
      const rule = fullBy(open, options) ?? (memory.isShort(open.bytes) ? 'memory' : null)
      if (rule !== null) cut(rule)
    } else if (open.to >= planned.end) cut(planned.cut.rule)
  }

  /**
   * Takes records until a range has ended, and commits its plan; what is left is done when the
   * runner comes back: the files of `done`, the range whose plan stands, and the next range.
   */
  function goOn(source: Iterator<Decoded>, done: OpenRange | null, notBeforeMs = 0): LakePlan {
    memory.give(underWay)
    underWay = 0
    while (ended.length === 0) {
      const record = source.next()
      if (record.done) break
      add(record.value)
    }
    const effects = done === null ? [] : [lakeRange(done)]
    stats.ranges += effects.length
    for (const { files } of effects) stats.files += files.length
    const wait = open === null || planned !== null ? Number.POSITIVE_INFINITY : lookMs(open)
    // Whoever asks again has carried this out.
    const wakeMs = done === null ? Math.max(wait, notBeforeMs) : notBeforeMs
    const plan = { outputs: [], effects, wakeMs }
    underWay = done?.bytes ?? 0
    const range = ended.shift()
    if (range) {
      const commit = { offset: range.from, metadata: writePlan(range) }
      return { ...plan, commit, rest: () => goOn(source, range, notBeforeMs) }
    }
    return { ...plan, commit: done && { offset: done.to, metadata: '' } }
  }

  const nothing = [][Symbol.iterator]()
  return {
    startOffset: next,
    stats,
    onBatch: ({ records }) => goOn(records[Symbol.iterator](), null),
    onTick({ brokerMs, caughtUp }) {
      const isDue = open !== null && caughtUp && brokerMs >= dueMs(open)
      if (isDue && planned === null) cut('idle')
      else if (open !== null && planned === null && memory.isShort(open.bytes)) cut('memory')
      return goOn(nothing, null, brokerMs + RETRY_MS)
    },
    onDrain() {
      if (planned === null) cut('drain')
      return goOn(nothing, null)
    },
  }
}

interface RangePlan {
  readonly end: number
  readonly cut: RangeCut
}

function writePlan({ to, cut }: OpenRange): string {
  return JSON.stringify({ end: to, cut } satisfies RangePlan)
}

/** An earlier build has committed the end alone. */
function readPlan(committed: Commit | null): RangePlan | null {
  if (!committed?.metadata) return null
  return { cut: { rule: 'time', anew: false }, ...JSON.parse(committed.metadata) }
}
