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

/** How long a recovery may take, by the first word of what it is a recovery from. */
const RECOVERY_MS_MAX: Readonly<Record<string, readonly [share: number, ms: number]>> = {
  kill: [0.99, 30_000],
  broker: [1, 60_000],
  outage: [1, 60_000],
  // Other faults met them, each with a recovery of its own.
  'broker+': [1, 120_000],
  'outage+': [1, 120_000],
}

/** One line for each kind of recovery. */
export function recoveryLines({ recoveriesMs }: FaultReport): readonly string[] {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`.padStart(8)
  const line = (what: string, all: readonly number[]) => {
    const [p50, p99, max] = [0.5, 0.99, 1].map((share) => seconds(percentile(all, share)))
    return `${what.padEnd(28)} n ${String(all.length).padStart(3)}  p50 ${p50}  p99 ${p99}  max ${max}`
  }
  const kinds = Object.keys(RECOVERY_MS_MAX).flatMap((kind) => {
    const all = allOf(recoveriesMs, kind)
    return all.length === 0 ? [] : [line(`${kind}, all`, all)]
  })
  const each = Object.entries(recoveriesMs).sort(([a], [b]) => (a < b ? -1 : 1))
  return [...each.map(([what, all]) => line(what, all)), ...kinds]
}

/** What took too long. Only a long run is held to it: a short one shares its machine. */
export function slowRecoveries({ recoveriesMs }: FaultReport): readonly string[] {
  return Object.entries(RECOVERY_MS_MAX).flatMap(([kind, [share, ms]]) => {
    const all = allOf(recoveriesMs, kind)
    const isMet = allOf(recoveriesMs, `${kind}+`).length > 0
    if (all.length === 0) return isMet ? [`no recovery from ${kind} was measured alone`] : []
    const got = percentile(all, share)
    return got <= ms ? [] : [`recovery from ${kind}: ${got} ms at ${share * 100} %, not ${ms}`]
  })
}

function allOf(recoveriesMs: FaultReport['recoveriesMs'], kind: string): readonly number[] {
  return Object.entries(recoveriesMs).flatMap(([what, all]) =>
    what.split(' ')[0] === kind ? all : [],
  )
}
