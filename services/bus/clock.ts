/** Time as an argument: the process's own, or one that a test moves by hand. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  nowMs(): number
  /** Never steps back; only differences mean anything. */
  monotonicMs(): number
  /** Resolves after `ms` of this clock. */
  sleep(ms: number): Promise<void>
  /** Resolves in a turn of its own: what was begun before is on its way. */
  turn(): Promise<void>
}

/** The clock of the process. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}

/** The broker's clock as this process knows it: never ahead of the true one. */
export interface BrokerClock {
  /** Takes an append time that the broker has just acknowledged or delivered. */
  observe(appendMs: number): void
  /** The least that the broker's clock can show now; -Infinity before the first observation. */
  nowMs(): number
}

const WINDOW_MS = 60_000

/**
 * Each append time gives a lower bound of broker time minus local monotonic time; the largest of
 * the last one to two minutes is used, so that a broker clock that is set back is followed.
 */
export function createBrokerClock(clock: Clock): BrokerClock {
  let current = Number.NEGATIVE_INFINITY
  let previous = Number.NEGATIVE_INFINITY
  let windowStart = clock.monotonicMs()
  return {
    observe(appendMs) {
      const now = clock.monotonicMs()
      if (now - windowStart >= WINDOW_MS) {
        previous = current
        current = Number.NEGATIVE_INFINITY
        windowStart = now
      }
      if (appendMs - now > current) current = appendMs - now
    },
    nowMs: () => clock.monotonicMs() + Math.max(current, previous),
  }
}
