import type { FaultReport } from './run-faults.ts'

/** What a run did not see, and without which it has shown nothing. */
export function vacuous({ seen }: Pick<FaultReport, 'seen'>): readonly string[] {
  return Object.entries(seen)
    .filter(([, times]) => times === 0)
    .map(([what]) => `the run was vacuous: no ${what}`)
}

/** The smallest value that at least that share of the values does not exceed; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
