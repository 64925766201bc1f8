import type { TokenEvents } from '../../schemas/records.ts'
import { type Cancel, SYSTEM_TIMERS, type Timers } from './clock.ts'
import type { Meter } from './meter.ts'

export type Publish = (record: TokenEvents) => void

/** Takes the run of each open request at every interval, also while its stream stalls. */
export interface Runs {
  add(meter: Meter, publish: Publish): void
  remove(meter: Meter): void
  readonly open: () => number
}

/** Requests are spread over so many visits an interval: one visit to all would stop the loop. */
const SLOTS = 50

/** One timer for all requests; it runs only while there are any. */
export function createRuns(everyMs = 1000, timers: Timers = SYSTEM_TIMERS): Runs {
  const slots = Array.from({ length: SLOTS }, () => new Map<Meter, Publish>())
  const slotOf = new Map<Meter, Map<Meter, Publish>>()
  let next = 0
  let turn = 0
  let cancel: Cancel | null = null

  function visit(): void {
    turn = (turn + 1) % SLOTS
    for (const [meter, publish] of slots[turn]!) {
      const record = meter.take()
      if (record) publish(record)
    }
  }

  return {
    add(meter, publish) {
      // Its first visit comes after half an interval at least, as short answers are one record.
      next = (next + 1) % (SLOTS / 2)
      const slot = slots[(turn + SLOTS - next) % SLOTS]!
      slot.set(meter, publish)
      slotOf.set(meter, slot)
      cancel ??= timers.every(everyMs / SLOTS, visit)
    },
    remove(meter) {
      slotOf.get(meter)?.delete(meter)
      slotOf.delete(meter)
      if (slotOf.size > 0) return
      cancel?.()
      cancel = null
    },
    open: () => slotOf.size,
  }
}

/** The timer of library calls in this process. */
export const SHARED_RUNS: Runs = createRuns()
