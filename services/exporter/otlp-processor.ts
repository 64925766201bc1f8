import type { Aggregate } from '../../schemas/records.ts'
import { chunksOf } from '../core/chunks.ts'
import type { Assignment, Commit, Plan, Processor } from '../core/processor.ts'
import { seriesOf } from '../core/windows/series.ts'
import { otlpPoints } from '../formats/otlp.ts'
import type { OtlpPoint } from '../formats/otlp-metric.ts'
import { isViewPoint, viewPoints } from '../formats/otlp-views.ts'
import { createOtlpStream, type Temporality } from './otlp-stream.ts'

/** What to send to the OTLP endpoint in one request, as data. */
export interface OtlpExport {
  readonly kind: 'otlp-export'
  readonly points: readonly OtlpPoint[]
  /** Who the series come from: the source topic and partition. */
  readonly instance: string
}

/** What became of the records: all but `points` add up to them. */
export interface OtlpStats {
  records: number
  bad: number
  /** Aggregates of another window size or grouping, or not final. */
  otherSeries: number
  /** Corrections by late data: a window that has been said is not said again. */
  revisions: number
  exported: number
  /** Windows of 5 and 15 minutes, as gauges. */
  views: number
  /** Windows that came again, or behind a later one of a view. */
  repeats: number
  /** Windows that came behind a later one of their series, and are in the next that is said. */
  folded: number
  /** Windows of a stream that is over. */
  late: number
  points: number
}

export type OtlpProcessor = Processor<OtlpExport> & { readonly stats: Readonly<OtlpStats> }

/** What is exported, and how. */
export interface OtlpOptions {
  /** The dimensions of the one grouping. */
  readonly grouping: readonly string[]
  /** The groupings whose windows of 5 and 15 minutes go out, as gauges. */
  readonly views: readonly (readonly string[])[]
  readonly temporality: Temporality
  /** To whoever keeps it in memory: also what the owner before has said, and late data. */
  readonly saysAll?: boolean
}

/** Data points in one request; at about 1 kB each, far below the 4 MiB that servers take. */
export const POINTS_MAX = 500
const WINDOW_S = 60
const VIEWS_S = new Set([300, 900])
const LOOK_MS = 200
const HOUR_MS = 3_600_000
/** Records: of some minutes. */
const VIEWS_BEHIND = 10_000

/**
 * Sends the final one-minute aggregates of one grouping. Windows of 5 and 15 minutes, and other
 * groupings, count the same requests again: a backend that adds series up would count them twice.
 * They go out as gauges, which nobody adds up.
 *
 * What has been counted is in the topic: an owner reads, silently, from where its stream began to
 * what was committed, and goes on with the same sums from the same beginning. A crash between the
 * send and the commit says the same points again: of running totals that changes nothing. A point
 * cannot be taken back, so only revision 0 goes out; later ones are counted in `stats.revisions`.
 */
export function createOtlpProcessor(
  { topic, partition, committed, firstOffset }: Assignment,
  { grouping, views, temporality, saysAll = false }: OtlpOptions,
): OtlpProcessor {
  const instance = `${topic}-${partition}`
  const wanted = keyOf(grouping)
  const viewed = new Set(views.map(keyOf))
  const stats = createOtlpStats()
  const stream = createOtlpStream(temporality, saysAll)
  const live = committed?.offset ?? null
  const begun = committed?.metadata ? (JSON.parse(committed.metadata) as Snapshot).from : live
  /** Where the stream began. */
  let from = begun ?? firstOffset
  /** What was said last of each series in the replay: to be said when it is over, at once. */
  const held = new Map<string, OtlpPoint>()
  /** Up to where each view has been said. */
  const viewEnds = new Map<string, number>()
  let forgottenMs = 0
  const idle: Plan<OtlpExport> = {
    outputs: [],
    effects: [],
    commit: null,
    wakeMs: Number.POSITIVE_INFINITY,
  }

  function isView({ series, final, size_s, revision }: Aggregate): boolean {
    if (!final || revision > 0 || !VIEWS_S.has(size_s)) return false
    return viewed.has(keyOf(Object.keys(series)))
  }

  function isExported({ series, final, size_s, start, revision }: Aggregate): boolean {
    const isOurs = keyOf(Object.keys(series)) === wanted
    // Windows that overlap count a request twice.
    const isApart = start % (size_s * 1000) === 0
    if (!final || size_s !== WINDOW_S || !isApart || !isOurs) {
      stats.otherSeries += 1
      return false
    }
    if (revision > 0) stats.revisions += 1
    return revision === 0
  }

  /** A gauge does not go back in time, nor say again what it has said. */
  function viewOf(aggregate: Aggregate): readonly OtlpPoint[] {
    const key = `${aggregate.size_s} ${seriesOf(aggregate.series).key}`
    if (aggregate.end <= (viewEnds.get(key) ?? 0)) {
      stats.repeats += 1
      return []
    }
    viewEnds.set(key, aggregate.end)
    forgetViews(aggregate.end)
    stats.views += 1
    return viewPoints(aggregate)
  }

  /** Now and then, of series that have ended. */
  function forgetViews(endMs: number): void {
    if (endMs < forgottenMs + HOUR_MS) return
    forgottenMs = endMs
    for (const [key, end] of viewEnds) if (end < endMs - HOUR_MS) viewEnds.delete(key)
  }

  /** With another stream, what was of the one before is let go of. */
  function enter(offset: number): void {
    from = offset
    for (const [key, point] of held) if (!isViewPoint(point)) held.delete(key)
  }

  function pointsOf(offset: number, aggregate: Aggregate): readonly OtlpPoint[] {
    if (isView(aggregate)) return viewOf(aggregate)
    if (!isExported(aggregate)) {
      // Where nothing is counted, whoever comes next need only read what gauges said last.
      if (stream.isEmpty()) from = Math.max(from, offset - VIEWS_BEHIND)
      return []
    }
    const before = stream.number()
    const said = stream.add(aggregate)
    if (stream.number() !== before) enter(offset)
    if (typeof said === 'string') {
      stats[said] += 1
      return []
    }
    stats.exported += 1
    return otlpPoints(said)
  }

  /** What an earlier owner has said: it is in no count of this one. */
  function replay(offset: number, aggregate: Aggregate): void {
    const before = { ...stats }
    const points = pointsOf(offset, aggregate)
    Object.assign(stats, before)
    if (!saysAll) return
    for (const point of points) held.set(pointKey(point), point)
  }

  function takeHeld(points: OtlpPoint[]): void {
    for (const point of held.values()) points.push(point)
    held.clear()
  }

  return {
    startOffset: begun === null ? null : Math.max(begun, firstOffset),
    stats,
    onBatch({ records }) {
      let commit: Commit | null = null
      const points: OtlpPoint[] = []
      for (const { offset, bad, value } of records) {
        if (live !== null && offset < live) {
          if (bad === null) replay(offset, value as Aggregate)
          if (offset === live - 1) takeHeld(points)
          continue
        }
        takeHeld(points)
        stats.records += 1
        if (bad !== null) stats.bad += 1
        else points.push(...pointsOf(offset, value as Aggregate))
        commit = { offset: offset + 1, metadata: JSON.stringify({ from } satisfies Snapshot) }
      }
      stats.points += points.length
      // What is held is due when there is nothing more to read.
      const wakeMs = held.size > 0 ? Number.NEGATIVE_INFINITY : idle.wakeMs
      return { ...idle, effects: exportsOf(points, instance), commit, wakeMs }
    },
    onTick({ brokerMs, caughtUp }) {
      if (held.size === 0) return idle
      if (!caughtUp) return { ...idle, wakeMs: brokerMs + LOOK_MS }
      const points: OtlpPoint[] = []
      takeHeld(points)
      return { ...idle, effects: exportsOf(points, instance) }
    },
    onDrain: () => idle,
  }
}

/** What a point is of: its metric and attributes. */
export function pointKey({ metric, point }: OtlpPoint): string {
  return `${metric} ${JSON.stringify(point.attributes)}`
}

function keyOf(dimensions: readonly string[]): string {
  return [...dimensions].sort().join('\n')
}

/** For the next owner. */
interface Snapshot {
  readonly from: number
}

function createOtlpStats(): OtlpStats {
  const counts = {
    records: 0,
    bad: 0,
    otherSeries: 0,
    revisions: 0,
    exported: 0,
    views: 0,
    points: 0,
  }
  return { ...counts, repeats: 0, folded: 0, late: 0 }
}

function exportsOf(points: readonly OtlpPoint[], instance: string): OtlpExport[] {
  return chunksOf(points, POINTS_MAX).map((some) => ({
    kind: 'otlp-export',
    points: some,
    instance,
  }))
}
