import type { Progress, Recovery } from './progress.ts'
import type { Strike } from './schedule.ts'
import { GROUP_NAMES } from './system.ts'

/**
 * How long it took to go on, by what was done and to whom: of a killed service to its next commit
 * of what it owned, of the broker to each stage's next. `broker+` are those of stages that another
 * fault struck before they went on: a stop of 16 s is no recovery from the broker's end.
 */
export function recoveries(
  strikes: readonly Strike[],
  progress: Pick<Progress, 'recovery'>,
): Record<string, number[]> {
  const all: Record<string, number[]> = {}
  const add = (what: string, { ms }: Recovery) => {
    all[what] = [...(all[what] ?? []), ms]
  }
  for (const strike of strikes) {
    const { kind, service, group, atMs, owned } = strike
    const killed = owned && progress.recovery(group, atMs, owned)
    if (killed) add(`kill ${service.split(' ')[0]}`, killed)
    if (kind !== 'broker' && kind !== 'outage') continue
    for (const each of GROUP_NAMES) {
      const own = progress.recovery(each, atMs)
      if (own === null) continue
      const isMet = strikes.some((other) => other !== strike && meets(other, each, own))
      add(`${kind}${isMet ? '+' : ''} ${each}`, own)
    }
  }
  return all
}

function meets(other: Strike, group: string, { sinceMs, ms }: Recovery): boolean {
  const isThen = other.endMs >= sinceMs && other.atMs <= sinceMs + ms
  return isThen && other.struck.some((name) => group.startsWith(name))
}
