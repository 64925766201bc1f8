/** A place at which a test can have the process die. */
export type Failpoint =
  | 'before-publish'
  /** One append is acknowledged, others of the same plan are not. */
  | 'mid-publish'
  | 'after-publish'
  /** A file of a range of the lake is there, others or its marker are not. */
  | 'mid-upload'
  | 'after-upload'
  | 'before-commit'
  | 'after-commit'

// Set by test/faults only: LENS_FAILPOINT=before-commit:3 is the third time.
const [wanted, times = '1'] = (process.env.LENS_FAILPOINT ?? '').split(':')
let left = Number(times)

/** Ends the process as a power cut would, if LENS_FAILPOINT says so; else nothing. */
export function failpoint(place: Failpoint): void {
  if (place === wanted && --left === 0) process.kill(process.pid, 'SIGKILL')
}
