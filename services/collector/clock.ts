/** Both clocks of a measurement (design §5): the wall clock is read once per request. */
export interface Clock {
  /** Microseconds since the epoch. */
  readonly wallUs: () => number
  /** Microseconds that never go back; only differences mean something. */
  readonly monotonicUs: () => number
}

export type Cancel = () => void

export interface Timers {
  /** Once; keeps the process alive, because somebody waits for it. */
  readonly after: (ms: number, run: () => void) => Cancel
  /** Again and again; does not keep the process alive. */
  readonly every: (ms: number, run: () => void) => Cancel
}

/** When a request was sent, on both clocks. */
export interface Moment {
  readonly wallUs: number
  readonly monotonicUs: number
}

export const SYSTEM_CLOCK: Clock = {
  wallUs: () => Date.now() * 1000,
  monotonicUs: () => performance.now() * 1000,
}

export const SYSTEM_TIMERS: Timers = {
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
  every: (ms, run) => {
    const timer = setInterval(run, ms)
    timer.unref()
    return () => clearInterval(timer)
  },
}

/** Reads both clocks; call it right before a request is sent. */
export function momentNow(clock: Clock = SYSTEM_CLOCK): Moment {
  return { wallUs: clock.wallUs(), monotonicUs: clock.monotonicUs() }
}
