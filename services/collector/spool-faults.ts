import type { Clock } from './clock.ts'

/** What a spool does about a disk that fails: it says so once a minute, and lets it rest. */
export interface SpoolFaults {
  /** Does the work; false when it threw. `what` as in "cannot read the spool". */
  guard(what: string, work: () => void): boolean
  /** Whether the last fault was less than a second ago. */
  resting(): boolean
}

const REST_MS = 1000
const QUIET_MS = 60_000

/** Faults of the spool at `path`. */
export function createSpoolFaults(
  path: string,
  log: (line: string) => void,
  clock: Clock,
): SpoolFaults {
  let restUs = Number.NEGATIVE_INFINITY
  let quietUs = Number.NEGATIVE_INFINITY
  return {
    resting: () => clock.monotonicUs() < restUs,
    guard(what, work) {
      try {
        work()
        return true
      } catch (error) {
        const nowUs = clock.monotonicUs()
        restUs = nowUs + REST_MS * 1000
        if (nowUs >= quietUs) {
          quietUs = nowUs + QUIET_MS * 1000
          log(`cannot ${what} the spool ${path}: ${said(error)}; told once a minute`)
        }
        return false
      }
    },
  }
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
