import type { OffsetRange, RangeCut } from './range-marker.ts'

type Tile = OffsetRange & Pick<RangeCut, 'anew'>

/**
 * What is wrong with the ranges of a lake; empty when they tile each partition's log from where the
 * exporter, or each of several one after the other, began.
 */
export function tileFaults(ranges: readonly Tile[]): readonly string[] {
  const faults: string[] = []
  const byPartition = Map.groupBy(ranges, ({ topic, partition }) => `${topic}-${partition}`)
  for (const [name, own] of byPartition) {
    let end: number | null = null
    for (const { from, to, anew } of own.toSorted((a, b) => a.from - b.from)) {
      if (end !== null && from > end && !anew)
        faults.push(`${name}: no range holds [${end}, ${from})`)
      if (end !== null && from < end) {
        faults.push(`${name}: two ranges hold [${from}, ${Math.min(to, end)})`)
      }
      end = Math.max(end ?? to, to)
    }
  }
  return faults
}
