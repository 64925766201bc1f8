import type { Clock, Timers } from '../../../services/collector/clock.ts'

/** Clock and timers that a test moves by hand. */
export interface HandClock extends Clock, Timers {
  /** Moves both clocks and runs what is due, in order, letting promises settle in between. */
  advance(ms: number): Promise<void>
  /** How many timers wait. */
  waiting(): number
}

interface Waiting {
  dueUs: number
  readonly everyUs: number
  readonly run: () => void
}

/** Wall clock 1,000,000 s after the epoch, monotonic clock at an odd number. */
export function createHandClock(): HandClock {
  const waiting = new Set<Waiting>()
  let nowUs = 12_345
  const add = (ms: number, everyUs: number, run: () => void) => {
    const entry = { dueUs: nowUs + ms * 1000, everyUs, run }
    waiting.add(entry)
    return () => void waiting.delete(entry)
  }
  return {
    wallUs: () => 1_000_000_000_000 + nowUs,
    monotonicUs: () => nowUs,
    after: (ms, run) => add(ms, 0, run),
    every: (ms, run) => add(ms, ms * 1000, run),
    waiting: () => waiting.size,
    async advance(ms) {
      const endUs = nowUs + ms * 1000
      for (;;) {
        await settled()
        const due = [...waiting].filter((entry) => entry.dueUs <= endUs)
        const [next] = due.sort((a, b) => a.dueUs - b.dueUs)
        if (!next) break
        nowUs = Math.max(nowUs, next.dueUs)
        if (next.everyUs > 0) next.dueUs += next.everyUs
        else waiting.delete(next)
        next.run()
      }
      nowUs = endUs
      await settled()
    },
  }
}

/** Lets every promise that can go on do so. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}
