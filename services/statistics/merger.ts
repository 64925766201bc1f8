import type { Closing } from '../../schemas/records.ts'
import { least } from '../core/extremes.ts'
import type { SliceRecord } from '../core/windows/slice-record.ts'

/** A range of one source partition, complete: all its records and its closing record. */
export interface CompleteRange {
  readonly topic: string
  readonly partition: number
  readonly records: readonly SliceRecord[]
  readonly closing: Closing
  /**
   * From which offset on the slices topic must be read again to apply this range at the same
   * watermarks: the range's own first record, and the closing record of every source that says
   * most of its time.
   */
  readonly floorOffset: number
}

/** What became of ranges; gap, overlap and incomplete must never happen and are reported. */
export interface MergerCounts {
  count(
    name:
      | 'range'
      | 'duplicate_record'
      | 'duplicate_range'
      | 'gap_range'
      | 'overlap_range'
      | 'incomplete_range',
    times: number,
  ): void
}

/** Holds ranges until their closing records arrive, and lets each through once (design §4.2). */
export interface Merger {
  /** A record of the slices topic; the range that it completes, or null. */
  add(offset: number, record: SliceRecord): CompleteRange | null
  /** The oldest offset that must be read again to be in this state; Infinity before any record. */
  rewindOffset(): number
  /** Where the last range of a source partition ended; null before its first one. */
  endOf(topic: string, partition: number): number | null
}

interface Source {
  /** Where the last range of this source ended; null until one was seen. */
  to: number | null
  /**
   * Of the last closing record that said no less than any before it. A new member of windowing
   * may say less: how far the clock had closed an idle partition is in no log but this one.
   */
  closingOffset: number
  watermark: number
  completeMs: number
  /** Likewise of what was said on its behalf; Infinity once it has said no less itself. */
  behalfOffset: number
  behalfWatermark: number
  readonly held: Map<number, { firstOffset: number; readonly byKey: Map<string, SliceRecord> }>
}

const NEW_SOURCE = {
  to: null,
  closingOffset: Number.POSITIVE_INFINITY,
  watermark: Number.NEGATIVE_INFINITY,
  completeMs: Number.NEGATIVE_INFINITY,
  behalfOffset: Number.POSITIVE_INFINITY,
  behalfWatermark: Number.NEGATIVE_INFINITY,
}

/**
 * An empty merger. In a replay a range may lack records that lie before the point at which reading
 * began: they belong to slices that are no longer needed.
 */
export function createMerger(counts: MergerCounts, isReplay: (offset: number) => boolean): Merger {
  const sources = new Map<string, Source>()

  function sourceOf(record: SliceRecord): Source {
    const key = sourceKey(record.source_topic, record.source_partition)
    let source = sources.get(key)
    if (!source) {
      source = { ...NEW_SOURCE, held: new Map() }
      sources.set(key, source)
    }
    return source
  }

  function hold(source: Source, offset: number, record: SliceRecord): void {
    if (source.to !== null && record.from < source.to) {
      counts.count('duplicate_record', 1)
      return
    }
    let held = source.held.get(record.from)
    if (!held) {
      held = { firstOffset: offset, byKey: new Map() }
      source.held.set(record.from, held)
    }
    // A repeat of the range, whole or in part, carries the same bytes: the last one stands.
    held.byKey.set(`${record.firstMs} ${record.series!.key}`, record)
  }

  function close(source: Source, offset: number, record: SliceRecord): CompleteRange | null {
    const { from, to, closing } = record
    const first = source.to === null
    if (!first && from < source.to!) {
      // An idle report from behind what was merged is a zombie's: not even its clock counts.
      if (from < to) counts.count(to <= source.to! ? 'duplicate_range' : 'overlap_range', 1)
      source.held.delete(from)
      return null
    }
    // A replay may begin with the repeat of an old range: what follows then lies ahead of it.
    if (!first && from > source.to!) counts.count('gap_range', 1)
    // An idle report does not end the range that begins where it stands.
    const held = (from < to && source.held.get(from)) || { firstOffset: offset, byKey: new Map() }
    const complete = held.byKey.size === closing!.series_count
    if (!complete && !isReplay(offset)) {
      counts.count('incomplete_range', 1)
      return null
    }
    for (const start of source.held.keys()) if (start < to) source.held.delete(start)
    const floorOffset = Math.min(held.firstOffset, oldestClosing())
    noteClosing(source, offset, closing!)
    source.to = to
    if (from !== to) counts.count('range', 1)
    return {
      topic: record.source_topic,
      partition: record.source_partition,
      records: [...held.byKey.values()],
      closing: closing!,
      floorOffset,
    }
  }

  function noteClosing(source: Source, offset: number, closing: Closing): void {
    const { watermark, complete_ms, on_behalf } = closing
    if (on_behalf) {
      if (watermark < source.behalfWatermark) return
      source.behalfOffset = offset
      source.behalfWatermark = watermark
      return
    }
    if (watermark < source.watermark || complete_ms < source.completeMs) return
    source.closingOffset = offset
    source.watermark = watermark
    source.completeMs = complete_ms
    if (watermark >= source.behalfWatermark) source.behalfOffset = Number.POSITIVE_INFINITY
  }

  function oldestClosing(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { closingOffset, behalfOffset } of sources.values()) {
      oldest = Math.min(oldest, closingOffset, behalfOffset)
    }
    return oldest
  }

  return {
    add(offset, record) {
      const source = sourceOf(record)
      if (record.closing) return close(source, offset, record)
      hold(source, offset, record)
      return null
    },
    rewindOffset() {
      const held = [...sources.values()].flatMap((source) =>
        [...source.held.values()].map((range) => range.firstOffset),
      )
      return Math.min(least(held), oldestClosing())
    },
    endOf: (topic, partition) => sources.get(sourceKey(topic, partition))?.to ?? null,
  }
}

function sourceKey(topic: string, partition: number): string {
  return `${topic}-${partition}`
}
