import { greatest } from '../extremes.ts'
import { SLICE_MS } from './slice.ts'
import {
  advanceWatermark,
  NO_WATERMARK,
  type PartitionState,
  type SourceWatermarks,
} from './watermark.ts'

/** A partition for which windows have waited long enough, and up to where they do so no more. */
export interface Held {
  readonly topic: string
  readonly partition: number
  /** Event time in milliseconds, a multiple of SLICE_MS. */
  readonly watermark: number
  readonly state: PartitionState
}

/** Watches how long the partitions that are ahead have waited for the others. */
export interface Hold {
  /**
   * The partitions that windows wait for no more. `nowMs` is broker time; everything that any
   * partition had reported by then must be in the watermarks.
   */
  look(nowMs: number, watermarks: SourceWatermarks): readonly Held[]
}

/** How far the first ones were at one time; a later time at which they were no further is none. */
interface Lead {
  readonly atMs: number
  /** By their events... */
  readonly events: number
  /** ...and by the clock, where they are idle. */
  readonly clock: number
}

/**
 * No window waits longer than `holdMs` of broker time from when the first partition has passed its
 * end by an event; or, by the clock, for a partition that nobody has read for so long. An idle
 * partition's clock alone does not count against one that is read: its events may be old. Keeps at
 * most holdMs / SLICE_MS + 2 leads. A partition that has never reported is always waited for.
 */
export function createHold(holdMs: number): Hold {
  const leads: Lead[] = []

  function note(atMs: number, { byTopic, newest }: SourceWatermarks): void {
    const last = leads.at(-1)
    if (last && atMs - last.atMs < SLICE_MS) return
    const closed = [...byTopic.values()].flat().map((state) => state.closed)
    leads.push({ atMs, events: newest, clock: greatest(closed) })
  }

  return {
    look(nowMs, watermarks) {
      if (holdMs === Number.POSITIVE_INFINITY) return []
      note(nowMs, watermarks)
      const sinceMs = nowMs - holdMs
      while (leads.length > 1 && leads[1]!.atMs <= sinceMs) leads.shift()
      const lead = leads[0]!
      if (lead.atMs > sinceMs) return []
      const held: Held[] = []
      for (const [topic, states] of watermarks.byTopic) {
        states.forEach((state, partition) => {
          const isRead = state.completeMs > sinceMs
          const to = isRead ? lead.events : advanceWatermark(lead.clock, lead.events)
          const watermark = Math.floor(to / SLICE_MS) * SLICE_MS
          const hasReported = state.watermark > NO_WATERMARK
          if (hasReported && watermark > state.closed)
            held.push({ topic, partition, watermark, state })
        })
      }
      return held
    },
  }
}
