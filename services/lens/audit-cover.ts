import { greatest } from '../core/extremes.ts'
import { type Findings, span } from './audit-findings.ts'
import type { SourceTiles, Tile } from './audit-tiles.ts'

/** Which part of a raw partition is to be audited. */
export interface Wanted {
  /** `lens.token-events-3`. */
  readonly name: string
  /** The oldest raw offset that is left. */
  readonly first: number
  /** What windowing has committed. */
  readonly end: number
  /** Append times; a range belongs to the audit when it was complete between them. */
  readonly sinceMs: number
  readonly untilMs: number
  readonly slicePartitions: number
  isTruncated(slicePartition: number): boolean
}

/** The part that can be: whole ranges, and the offsets from the first to the last of them. */
export interface Covered {
  readonly from: number
  readonly end: number
  /** In order; they may leave offsets out, which then must hold no record. */
  readonly tiles: readonly Tile[]
}

/**
 * The ranges to audit. A range that one partition of the slices has and another lacks is named
 * here; what all lack shows when the raw records are read.
 */
export function coverSource(source: SourceTiles, wanted: Wanted, findings: Findings): Covered {
  const { name, end, slicePartitions, isTruncated } = wanted
  const all = [...source.tiles.values()].sort((a, b) => a.from - b.from)
  const partitions = Array.from({ length: slicePartitions }, (_, q) => q)
  // What the slices no longer hold cannot be audited.
  const known = partitions.filter(isTruncated).map((q) => source.lanes.get(q)?.first ?? end)
  const first = Math.max(wanted.first, greatest(known))
  // The raw topic may begin in the midst of a range.
  const cut = all.find((tile) => tile.from < first && tile.to > first)
  const begin = Math.min(cut?.to ?? first, end)
  const inTime = ({ completeMs }: Tile) =>
    completeMs >= wanted.sinceMs && completeMs <= wanted.untilMs
  const whole = all.filter((tile) => tile.from >= begin && tile.to <= end)
  const tiles = whole.filter(inTime)
  const isAll = tiles.length === whole.length
  const from = isAll ? begin : (tiles[0]?.from ?? end)
  const covered = { tiles, from, end: isAll ? end : (tiles.at(-1)?.to ?? end) }
  for (const q of partitions) {
    for (const gap of gapsOf(source, q, covered)) {
      const lost = tiles.find((tile) => tile.from >= gap.from && tile.from < gap.to)
      if (!lost) continue
      const text = `slices-${q} has nothing of ${span(gap.from, gap.to)}, other partitions have`
      findings.add('gap', name, text)
    }
  }
  return covered
}

/** What a partition of the slices lacks of [from, end): before its first range, within, behind. */
function gapsOf(source: SourceTiles, q: number, { from, end }: Covered) {
  const lane = source.lanes.get(q)
  if (!lane || lane.first === null || lane.to === null) return [{ from, to: end }]
  return [{ from, to: lane.first }, ...lane.gaps, { from: lane.to, to: end }]
    .map((gap) => ({ from: Math.max(gap.from, from), to: Math.min(gap.to, end) }))
    .filter((gap) => gap.from < gap.to)
}
