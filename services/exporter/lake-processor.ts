import { assert } from '../core/errors.ts'
import type { Assignment, Commit, Decoded, Plan, Processor } from '../core/processor.ts'
import { datasetsOf } from '../formats/datasets.ts'
import {
  addRecord,
  createLakeStats,
  isFull,
  type LakeFile,
  type LakeStats,
  type OpenRange,
  openRange,
  rangeFiles,
} from './lake-range.ts'

export interface LakeOptions {
  /** Length of a roll interval in milliseconds; intervals are aligned to the epoch. */
  readonly rollMs: number
  /** Rows after which a range ends, and so the most that a partition ever holds in memory. */
  readonly rowsMax: number
}

type LakePlan = Plan<LakeFile>
export type LakeProcessor = Processor<LakeFile> & { readonly stats: Readonly<LakeStats> }

/** An idle range is cut this long after its interval, against clocks that differ. */
export const IDLE_MARGIN_MS = 2000
const RETRY_MS = 1000

/**
 * Turns one topic-partition into files of the lake. A range [from, to) ends before the first record
 * whose append time lies in a later roll interval than that of the range's first record, or after
 * the record that fills it, or where a drain finds it; the clock only notices that an idle
 * partition's interval is over.
 *
 * Before its files are put, the end of a range is committed, as metadata of its start: the plan.
 * The group takes it from the owner only, and whoever owns the partition next ends the range there
 * and nowhere else. So whoever puts a file of this name, however late, puts the same bytes.
 */
export function createLakeProcessor(assignment: Assignment, options: LakeOptions): LakeProcessor {
  const { topic, partition, committed } = assignment
  const datasets = datasetsOf(topic)
  assert(datasets.length > 0, `no dataset is made from ${topic}`)
  const stats = createLakeStats()
  const intervalOf = (appendMs: number): number => Math.floor(appendMs / options.rollMs)
  const dueMs = (range: OpenRange): number => {
    return (range.interval + 1) * options.rollMs + IDLE_MARGIN_MS
  }
  let next: number | null = committed?.offset ?? null
  let open: OpenRange | null = null
  /** Where the earlier owner said that the range ends. */
  let plannedEnd = readPlan(committed)
  /** Ranges that have ended, and whose plan is to be committed. */
  const ended: OpenRange[] = []

  function cut(): void {
    if (open === null) return
    ended.push(open)
    open = null
    plannedEnd = null
  }

  function isBefore({ offset, appendMs }: Decoded, range: OpenRange): boolean {
    if (plannedEnd !== null) return offset < plannedEnd
    return intervalOf(appendMs) <= range.interval
  }

  function isDone(range: OpenRange): boolean {
    return plannedEnd === null ? isFull(range, options.rowsMax) : range.to >= plannedEnd
  }

  function add(record: Decoded): void {
    const { offset, appendMs } = record
    assert(next === null || offset >= next, `offset ${offset} was given again`)
    if (open !== null && !isBefore(record, open)) cut()
    // Retention took what was planned: the file of that name, if there is one, stays as it is.
    if (open === null && plannedEnd !== null && offset >= plannedEnd) {
      next = plannedEnd
      plannedEnd = null
    }
    // Offsets that hold no record belong to the range after them, so that ranges tile the log.
    const from: number = next ?? offset
    const interval = intervalOf(appendMs)
    open ??= openRange({ topic, partition, from, interval })
    addRecord(open, record, datasets, stats)
    next = open.to
    if (isDone(open)) cut()
  }

  /**
   * Takes records until a range has ended, and commits its plan; what is left is done when the
   * runner comes back: the files of `planned`, the range whose plan stands, and the next range.
   */
  function goOn(source: Iterator<Decoded>, planned: OpenRange | null, notBeforeMs = 0): LakePlan {
    while (ended.length === 0) {
      const { done, value } = source.next()
      if (done) break
      add(value)
    }
    const files = planned === null ? [] : rangeFiles(planned)
    stats.ranges += planned === null ? 0 : 1
    stats.files += files.length
    const wait = open === null || plannedEnd !== null ? Number.POSITIVE_INFINITY : dueMs(open)
    const plan = { outputs: [], effects: files, wakeMs: Math.max(wait, notBeforeMs) }
    const range = ended.shift()
    if (range) {
      const commit = { offset: range.from, metadata: writePlan(range.to) }
      return { ...plan, commit, rest: () => goOn(source, range, notBeforeMs) }
    }
    return { ...plan, commit: planned && { offset: planned.to, metadata: '' } }
  }

  const nothing = [][Symbol.iterator]()
  return {
    startOffset: next,
    stats,
    onBatch: ({ records }) => goOn(records[Symbol.iterator](), null),
    onTick({ brokerMs, caughtUp }) {
      const isDue = open !== null && caughtUp && brokerMs >= dueMs(open)
      if (isDue && plannedEnd === null) cut()
      return goOn(nothing, null, brokerMs + RETRY_MS)
    },
    onDrain() {
      if (plannedEnd === null) cut()
      return goOn(nothing, null)
    },
  }
}

function writePlan(end: number): string {
  return JSON.stringify({ end })
}

function readPlan(committed: Commit | null): number | null {
  return committed?.metadata ? (JSON.parse(committed.metadata) as { end: number }).end : null
}
