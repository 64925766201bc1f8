import type { Aggregate } from '../../schemas/records.ts'
import type { Assignment, Commit, Plan, Processor } from '../core/processor.ts'
import { type OtlpPoint, otlpPoints } from '../formats/otlp.ts'

/** What to send to the OTLP endpoint in one request, as data. */
export interface OtlpExport {
  readonly kind: 'otlp-export'
  readonly points: readonly OtlpPoint[]
  /** Who the series come from: the source topic and partition. */
  readonly instance: string
}

/** What became of the records: exported + otherSeries + revisions + bad = records. */
export interface OtlpStats {
  records: number
  bad: number
  /** Aggregates of another window size or grouping, or not final. */
  otherSeries: number
  /** Corrections by late data, which a delta cannot carry; they are in the lake. */
  revisions: number
  exported: number
  points: number
}

export type OtlpProcessor = Processor<OtlpExport> & { readonly stats: Readonly<OtlpStats> }

/** Data points in one request; at about 1 kB each, far below the 4 MiB that servers take. */
export const POINTS_MAX = 500
const WINDOW_S = 60

/**
 * Sends the final one-minute aggregates of one grouping. Windows of 5 and 15 minutes, and other
 * groupings, count the same requests again: a backend that adds series up would count them twice.
 *
 * A delta point cannot be taken back, so only revision 0 goes out; later revisions are counted in
 * `stats.revisions`. OTLP has no key by which a receiver could drop a repeat: a crash between the
 * send and the commit exports its windows again. Topics and lake are exact, this is a view of them.
 */
export function createOtlpProcessor(
  assignment: Assignment,
  grouping: readonly string[],
): OtlpProcessor {
  const { topic, partition, committed } = assignment
  const instance = `${topic}-${partition}`
  const wanted = [...grouping].sort().join('\n')
  const stats = { records: 0, bad: 0, otherSeries: 0, revisions: 0, exported: 0, points: 0 }
  const idle: Plan<OtlpExport> = {
    outputs: [],
    effects: [],
    commit: null,
    wakeMs: Number.POSITIVE_INFINITY,
  }

  function isExported(aggregate: Aggregate): boolean {
    const isOurs = Object.keys(aggregate.series).sort().join('\n') === wanted
    if (!aggregate.final || aggregate.size_s !== WINDOW_S || !isOurs) {
      stats.otherSeries += 1
      return false
    }
    if (aggregate.revision > 0) stats.revisions += 1
    return aggregate.revision === 0
  }

  return {
    startOffset: committed?.offset ?? null,
    stats,
    onBatch({ records }) {
      let commit: Commit | null = null
      const points: OtlpPoint[] = []
      for (const { offset, bad, value } of records) {
        stats.records += 1
        commit = { offset: offset + 1, metadata: '' }
        if (bad !== null) stats.bad += 1
        else if (isExported(value as Aggregate)) {
          stats.exported += 1
          points.push(...otlpPoints(value as Aggregate))
        }
      }
      stats.points += points.length
      return { ...idle, effects: exportsOf(points, instance), commit }
    },
    onTick: () => idle,
    onDrain: () => idle,
  }
}

function exportsOf(points: readonly OtlpPoint[], instance: string): OtlpExport[] {
  const effects: OtlpExport[] = []
  for (let at = 0; at < points.length; at += POINTS_MAX) {
    const some = points.slice(at, at + POINTS_MAX)
    effects.push({ kind: 'otlp-export', points: some, instance })
  }
  return effects
}
