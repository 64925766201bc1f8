/** Which fault strikes when: seeded, on three tracks, with an exclusive act in between. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createRandom } from '../../services/core/random.ts'
import { createDealer, REPLAY } from './fault-kinds.ts'
import { ENDED } from './supervisor.ts'
import { GROUP_NAMES, type System } from './system.ts'

export interface Strike {
  readonly kind: string
  readonly service: string
  readonly group: string
  /** The groups that it disturbs, by how their names begin. */
  readonly struck: readonly string[]
  /** From when a recovery is measured. */
  readonly atMs: number
  /** When it was over, but for what it leaves. */
  readonly endMs: number
  /** What the service owned when it was killed; null when it was not, or owned nothing. */
  readonly owned: ReadonlySet<string> | null
  /** Its group had something to do. */
  readonly hadWork: boolean
}

export interface Schedule {
  readonly strikes: readonly Strike[]
  /** How much longer it will take, as far as one can tell. */
  leftMs(): number
  run(): Promise<void>
}

export interface ScheduleOptions {
  readonly faults: number
  readonly seed: number
  /** Outages of the broker, spread over the run. */
  readonly outages: number
  /** Replaces the services by those of the working tree in mid-run. */
  readonly upgrades: boolean
  /** At least so long from one fault to the next, on one track; null: as fast as they come. */
  readonly everyMs: number | null
  readonly log: (line: string) => void
}

const TRACKS = 3
const OUTAGE_MS = 120_000
const SETTLE_MS_MAX = 60_000
const WORK_MS_MAX = 10_000
const POLL_MS = 200
const NOBODY = { service: '', group: '', struck: GROUP_NAMES, owned: null, hadWork: false }
const UPGRADE_PAUSE_MS = 3_000
/** A first guess, until there is something to go by. */
const FAULT_MS = 4_000

/** Faults on tracks, each with services of its own, so that no two meet in one process. */
export function planFaults(system: System, options: ScheduleOptions): Schedule {
  const { faults, seed, everyMs, log } = options
  const { stack, running, progress, startExtra } = system
  const strikes: Strike[] = []
  const exclusive = [
    ...(options.upgrades ? [upgrade] : []),
    ...Array.from({ length: options.outages }, () => outage),
  ]
  const count = everyMs === null ? TRACKS : 1
  const tracks = Array.from({ length: count }, (_, number) => createTrack(number))
  /** Which tracks are at work in a group, and whether alone. */
  const busy = new Map(GROUP_NAMES.map((group) => [group, new Map<number, boolean>()]))
  const beganMs = Date.now()
  let left = faults
  let awayMs = exclusive.filter((act) => act === outage).length * OUTAGE_MS

  function createTrack(number: number): (until: number) => Promise<void> {
    const random = createRandom(seed * 100 + number)
    const between = (from: number, to: number) => from + Math.floor(random() * (to - from + 1))
    const own = [...running].filter((_, i) => i % count === number)
    const deal = createDealer(own, number === 0, random)
    return async (until) => {
      while (left > until) {
        left--
        const isFirst = number === 0 && strikes.length === 0
        const [kind, [name, target]] = isFirst ? ([REPLAY, own[0]!] as const) : deal()
        const began = Date.now()
        const groups = groupsOf(kind.name, name)
        await enter(number, groups, kind.name === 'kill')
        const strike = { kind: kind.name, service: name, ...before(name, kind.name) }
        const strikeMs = Date.now()
        const another = () => startExtra(name)
        const done = await kind.strike({ stack, target, between, another })
        // A kill begins when the process is gone; anything else when it is begun.
        const atMs = kind.name === 'kill' ? Date.now() : strikeMs
        strikes.push({ ...strike, atMs, endMs: Date.now() })
        log(`${faults - left} of ${faults}: ${name}: ${done}`)
        if (strike.owned) await goesOn(strike.group, atMs, strike.owned)
        for (const group of groups) busy.get(group)!.delete(number)
        await sleep(
          everyMs === null ? between(500, 3_000) : Math.max(0, began + everyMs - Date.now()),
        )
      }
    }
  }

  /**
   * A kill is alone in its group until it has recovered, so that it is the kill that is measured;
   * all other faults meet as they come.
   */
  async function enter(number: number, groups: readonly string[], alone: boolean): Promise<void> {
    const others = (group: string) => [...busy.get(group)!.values()]
    const isFree = (group: string) =>
      alone ? others(group).length === 0 : !others(group).includes(true)
    while (!groups.every(isFree)) await sleep(POLL_MS)
    for (const group of groups) busy.get(group)!.set(number, alone)
    if (!alone) return
    await settle(groups)
    await hasWork(groups)
  }

  /** A kill is to strike where something is under way. */
  async function hasWork(groups: readonly string[]): Promise<void> {
    const lastMs = Date.now() + WORK_MS_MAX
    const isIdle = () => groups.every((group) => progress.backlog(group) === 0)
    while (isIdle() && Date.now() < lastMs) await sleep(POLL_MS)
  }

  async function goesOn(group: string, atMs: number, owned: ReadonlySet<string>): Promise<void> {
    const lastMs = atMs + SETTLE_MS_MAX
    const isOver = () => Number.isFinite(progress.recovery(group, atMs, owned)?.ms)
    while (!isOver() && Date.now() < lastMs) await sleep(POLL_MS)
  }

  function before(
    name: string,
    kind: string,
  ): Pick<Strike, 'group' | 'struck' | 'owned' | 'hadWork'> {
    const group = groupOf(name)
    const struck = groupsOf(kind, name).map((each) => each.replace(/-lake$/, ''))
    const owned = kind === 'kill' ? ownedBy(running.get(name)!.output()) : null
    return { group, struck, owned, hadWork: owned !== null && progress.backlog(group) > 0 }
  }

  /** So that what one fault leaves is not taken for the next one's. */
  async function settle(groups: readonly string[] = GROUP_NAMES): Promise<void> {
    const atMs = Date.now()
    const isOver = () => groups.every((group) => progress.hasPassed(group, atMs))
    while (!isOver() && Date.now() < atMs + SETTLE_MS_MAX) await sleep(POLL_MS)
  }

  async function outage(): Promise<void> {
    log(`the broker is away for ${OUTAGE_MS / 1000} s`)
    await stack.killBroker(OUTAGE_MS)
    awayMs -= OUTAGE_MS
    strikes.push({ ...NOBODY, kind: 'outage', atMs: Date.now(), endMs: Date.now() })
  }

  async function upgrade(): Promise<void> {
    for (const [name, service] of running) {
      await service.upgrade()
      log(`${name}: replaced by the one of the working tree`)
      await sleep(UPGRADE_PAUSE_MS)
    }
    strikes.push({ ...NOBODY, kind: 'upgrade', atMs: Date.now(), endMs: Date.now() })
  }

  return {
    strikes,
    leftMs() {
      const done = faults - left
      const each = done < 10 ? (everyMs ?? FAULT_MS) : (Date.now() - beganMs) / done
      return left * each + awayMs
    },
    async run() {
      for (let part = 0; part <= exclusive.length; part++) {
        const until = Math.round(faults * (1 - (part + 1) / (exclusive.length + 1)))
        await Promise.all(tracks.map((track) => track(until)))
        if (part === exclusive.length) break
        await settle()
        await exclusive[part]!()
        await settle()
      }
    },
  }
}

/** What a fault strikes. */
function groupsOf(kind: string, name: string): readonly string[] {
  return kind === 'broker' ? GROUP_NAMES : [groupOf(name)]
}

/** The consumer group of a service; of the exporter the one that must not lose anything. */
function groupOf(name: string): string {
  const [service] = name.split(' ')
  return service === 'exporter' ? 'lens-exporter-lake' : `lens-${service}`
}

/** The partitions that the process of now last said it had; null when it had none yet. */
function ownedBy(output: string): ReadonlySet<string> | null {
  const own = output.slice(output.lastIndexOf(ENDED) + 1)
  const said = [...own.matchAll(/(?<!otlp): (?:no partitions|partitions (.*))/g)].at(-1)?.[1]
  return said ? new Set(said.split(' ')) : null
}
