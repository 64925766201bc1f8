import type { Closing, WindowSlice } from '../../schemas/records.ts'
import { addCounts, type Counts, countsOfSlice, noCounts } from './audit-counts.ts'
import { type Findings, span } from './audit-findings.ts'

/** A range of raw records as the slices tell of it, all partitions of the slices together. */
export interface Tile {
  readonly from: number
  readonly to: number
  readonly records: number
  readonly deadLetters: number
  /** Append time up to which the source had been read. */
  readonly completeMs: number
  /** Of all series of a grouping, by its dimensions. */
  readonly counts: ReadonlyMap<string, Counts>
}

/** A range that the merger applies; of its records the ones that were to be kept. */
export interface AppliedRange {
  readonly topic: string
  readonly partition: number
  readonly records: readonly WindowSlice[]
  readonly closing: Closing
}

export interface TilingPolicy {
  /** Whether a partition of the slices has lost its oldest records, perhaps half a range. */
  isTruncated(slicePartition: number): boolean
  /** Whether a record is to be handed on when its range is applied. */
  isKept(record: WindowSlice): boolean
}

/** One raw partition as the partitions of the slices tell of it. */
export interface SourceTiles {
  readonly tiles: Map<number, Tile>
  /** By partition of the slices. */
  readonly lanes: Map<number, Lane>
  repeats: number
}

interface Lane {
  /** Where the first range began that was applied; null before it. */
  first: number | null
  to: number | null
  readonly gaps: { readonly from: number; readonly to: number }[]
  readonly held: Map<number, Map<string, Held>>
  /** Digests of the ranges applied last, to tell whether a repeat is the same. */
  readonly recent: Map<number, ReadonlyMap<string, Pick<Held, 'digest'>>>
}

interface Held {
  readonly digest: string
  readonly grouping: string
  readonly counts: Counts
  readonly kept: WindowSlice | null
}

/** Reads lens.window-slices as the merger of statistics does; says what that should never see. */
export interface Tiling {
  /** A record of partition q; `digest` stands for its bytes. The range that it completes, or null. */
  add(q: number, record: WindowSlice, digest: string): AppliedRange | null
  source(topic: string, partition: number): SourceTiles
}

const RECENT_RANGES = 64

/** Nothing read yet. */
export function createTiling(policy: TilingPolicy, findings: Findings): Tiling {
  const sources = new Map<string, SourceTiles>()

  function sourceNamed(name: string): SourceTiles {
    const source = sources.get(name) ?? { tiles: new Map(), lanes: new Map(), repeats: 0 }
    sources.set(name, source)
    return source
  }

  function hold(source: SourceTiles, lane: Lane, where: Where, digest: string): void {
    const { record, name, q } = where
    const key = `${JSON.stringify(record.series)} ${record.slices[0]?.start}`
    const isOver = lane.to !== null && record.from < lane.to
    const range = isOver ? lane.recent.get(record.from) : heldOf(lane, record.from)
    const before = range?.get(key)
    if (isOver || before) source.repeats++
    if (range && (isOver || before) && before?.digest !== digest) {
      const what = `${span(record.from, record.to)} of series ${JSON.stringify(record.series)}`
      findings.add('repeat', name, `${what} came again in slices-${q}, and not the same`)
    }
    if (isOver) return
    const kept = policy.isKept(record) ? record : null
    const grouping = groupingOf(record.series!)
    heldOf(lane, record.from).set(key, { digest, grouping, counts: sumOf(record), kept })
  }

  /** The closing record of a range that begins before what was applied: a repeat or an overlap. */
  function closeAgain(source: SourceTiles, lane: Lane, { record, name, q }: Where): void {
    const { from, to } = record
    lane.held.delete(from)
    // An idle report from behind is a zombie's; what was before the first range is not known.
    if (from === to || to <= lane.first!) return
    source.repeats++
    const range = span(from, to)
    if (to > lane.to!) {
      findings.add('overlap', name, `${range} in slices-${q} overlaps what ended at ${lane.to}`)
      return
    }
    const tile = source.tiles.get(from)
    if (tile?.to !== to) findings.add('repeat', name, `${range} in slices-${q} was cut otherwise`)
    else sayDifference('repeat', tile, { record, name, q })
  }

  function close(source: SourceTiles, lane: Lane, where: Where): AppliedRange | null {
    const { record, name, q } = where
    const { from, to } = record
    const closing = record.closing!
    if (lane.to !== null && from < lane.to) {
      closeAgain(source, lane, where)
      return null
    }
    const held = lane.held.get(from) ?? new Map<string, Held>()
    if (held.size !== closing.series_count) {
      if (lane.to === null && policy.isTruncated(q)) {
        lane.first = to
        lane.to = to
        lane.held.delete(from)
        return null
      }
      const text = `${span(from, to)} in slices-${q} has ${held.size} of ${closing.series_count} records`
      findings.add('incomplete', name, text)
      return null
    }
    if (lane.to !== null && from > lane.to) lane.gaps.push({ from: lane.to, to: from })
    lane.first ??= from
    lane.to = to
    for (const start of lane.held.keys()) if (start < to || start === from) lane.held.delete(start)
    if (from < to) tell(source, lane, where, held)
    const records = [...held.values()].flatMap(({ kept }) => kept ?? [])
    return { topic: record.source_topic, partition: record.source_partition, records, closing }
  }

  function tell(
    source: SourceTiles,
    lane: Lane,
    { record, name, q }: Where,
    held: ReadonlyMap<string, Held>,
  ): void {
    const { from, to } = record
    const { records, dead_letters: deadLetters, complete_ms: completeMs } = record.closing!
    const known = source.tiles.get(from)
    const sums = new Map(known?.counts)
    for (const { grouping, counts } of held.values()) {
      if (!sums.has(grouping)) sums.set(grouping, noCounts())
      addCounts(sums.get(grouping)!, counts)
    }
    if (known) sayDifference('closing', known, { record, name, q })
    const tile = known ?? { from, to, records, deadLetters, completeMs }
    source.tiles.set(from, { ...tile, counts: sums })
    lane.recent.set(from, new Map([...held].map(([key, { digest }]) => [key, { digest }])))
    if (lane.recent.size > RECENT_RANGES) lane.recent.delete(lane.recent.keys().next().value!)
  }

  function sayDifference(kind: 'repeat' | 'closing', tile: Tile, { record, name, q }: Where): void {
    const { records, dead_letters } = record.closing!
    const same = tile.to === record.to && tile.records === records
    if (same && tile.deadLetters === dead_letters) return
    const before = `${span(tile.from, tile.to)}: ${tile.records} records, ${tile.deadLetters} dead`
    const now = `${span(record.from, record.to)}: ${records} records, ${dead_letters} dead`
    findings.add(kind, name, `slices-${q} says ${now}; it was ${before}`)
  }

  return {
    add(q, record, digest) {
      const name = `${record.source_topic}-${record.source_partition}`
      const source = sourceNamed(name)
      const lane = source.lanes.get(q) ?? createLane()
      source.lanes.set(q, lane)
      const where = { record, name, q }
      if (record.closing) return close(source, lane, where)
      hold(source, lane, where, digest)
      return null
    },
    source: (topic, partition) => sourceNamed(`${topic}-${partition}`),
  }
}

interface Where {
  readonly record: WindowSlice
  readonly name: string
  readonly q: number
}

function createLane(): Lane {
  return { first: null, to: null, gaps: [], held: new Map(), recent: new Map() }
}

function heldOf(lane: Lane, from: number): Map<string, Held> {
  const held = lane.held.get(from) ?? new Map<string, Held>()
  lane.held.set(from, held)
  return held
}

function sumOf(record: WindowSlice): Counts {
  const counts = noCounts()
  for (const slice of record.slices) addCounts(counts, countsOfSlice(slice))
  return counts
}

/** The grouping without dimensions. */
export const FLEET = ''

/** The dimensions of a series, by commas; empty for the fleet. */
export function groupingOf(series: Readonly<Record<string, string>>): string {
  return Object.keys(series).sort().join(',')
}
