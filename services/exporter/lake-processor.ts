import { assert } from '../core/errors.ts'
import type { Assignment, Commit, Plan, Processor } from '../core/processor.ts'
import { datasetsOf } from '../formats/datasets.ts'
import {
  addRecord,
  createLakeStats,
  isFull,
  type LakeFile,
  type LakeStats,
  type OpenRange,
  rangeFiles,
} from './lake-range.ts'

export interface LakeOptions {
  /** Length of a roll interval in milliseconds; intervals are aligned to the epoch. */
  readonly rollMs: number
  /** Rows after which a range ends, and so the most that a partition ever holds in memory. */
  readonly rowsMax: number
}

export type LakeProcessor = Processor<LakeFile> & { readonly stats: Readonly<LakeStats> }

/** An idle range is cut this long after its interval, against clocks that differ. */
export const IDLE_MARGIN_MS = 2000
const RETRY_MS = 1000

/**
 * Turns one topic-partition into files of the lake. A range [from, to) ends before the first record
 * whose append time lies in a later roll interval than that of the range's first record, or after
 * the record that fills it: the log alone decides, so that a repeat from the committed offset
 * writes the same names with the same bytes. The clock only notices that an idle partition's
 * interval is over. A name holds the range's start but not its end: after a crash between a drain's
 * upload and its commit, the longer range that is read then replaces the file.
 *
 * What is not guarded here: a member that has lost the partition may still upload the shorter file
 * over the longer one. Protocol A of research/lake-exporters.md (the plan in the commit's metadata,
 * conditional puts) is the cure; its place is `Commit.metadata` and `startOffset`.
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

  /** Ends the open range: its files go to `effects`, and its end is what can be committed. */
  function cut(effects: LakeFile[]): Commit | null {
    if (open === null) return null
    const files = rangeFiles(open)
    effects.push(...files)
    stats.ranges += 1
    stats.files += files.length
    open = null
    return { offset: next!, metadata: '' }
  }

  function plan(effects: LakeFile[], commit: Commit | null, notBeforeMs = 0): Plan<LakeFile> {
    const wakeMs = open === null ? Number.POSITIVE_INFINITY : Math.max(dueMs(open), notBeforeMs)
    return { outputs: [], effects, commit, wakeMs }
  }

  return {
    startOffset: next,
    stats,
    onBatch({ records }) {
      const effects: LakeFile[] = []
      let commit: Commit | null = null
      for (const record of records) {
        const { offset, appendMs } = record
        assert(next === null || offset >= next, `offset ${offset} was given again`)
        const interval = intervalOf(appendMs)
        if (open !== null && interval > open.interval) commit = cut(effects)
        // Offsets that hold no record belong to the range after them, so that ranges tile the log.
        const from: number = next ?? offset
        open ??= {
          topic,
          partition,
          from,
          interval,
          to: from,
          rowCount: 0,
          bytes: 0,
          files: new Map(),
        }
        addRecord(open, record, datasets, stats)
        next = open.to
        if (isFull(open, options.rowsMax)) commit = cut(effects)
      }
      return plan(effects, commit)
    },
    onTick({ brokerMs, caughtUp }) {
      const effects: LakeFile[] = []
      const isDue = open !== null && caughtUp && brokerMs >= dueMs(open)
      return plan(effects, isDue ? cut(effects) : null, brokerMs + RETRY_MS)
    },
    onDrain() {
      const effects: LakeFile[] = []
      return plan(effects, cut(effects))
    },
  }
}
