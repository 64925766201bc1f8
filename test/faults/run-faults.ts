/** A run of the whole pipeline on real servers while faults strike, and what it showed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Load, startLoad } from './load.ts'
import type { Progress } from './progress.ts'
import { recoveries } from './recoveries.ts'
import {
  auditFaults,
  compactedFaults,
  lakeFaults,
  otlpFaults,
  readRaw,
  repeatedRanges,
  triggerDifferences,
  windowFaults,
} from './run-checks.ts'
import { planFaults, type Schedule } from './schedule.ts'
import { ENDED, type Supervised } from './supervisor.ts'
import { GROUP_NAMES, PARTITIONS, type System, withSystem } from './system.ts'

export interface FaultOptions {
  readonly faults: number
  readonly seed: number
  readonly requests: number
  readonly chunksMax: number
  /** Outages of the broker of two minutes each. */
  readonly outages: number
  /** The services begin as of this commit, and are replaced in mid-run; null: no. */
  readonly fromCommit: string | null
  readonly log: (line: string) => void
}

export interface FaultReport {
  /** What was wrong; nothing when all is well. */
  readonly wrong: readonly string[]
  readonly records: number
  readonly chunks: number
  /** Records of which the producer did not know whether they had been appended. */
  readonly unknown: number
  readonly windows: number
  /** How often each kind struck each service. */
  readonly struck: Readonly<Record<string, number>>
  /** By what was done to which service, or which stage went on after the broker was back. */
  readonly recoveriesMs: Readonly<Record<string, readonly number[]>>
  readonly seen: {
    readonly killsInWork: number
    readonly failpoints: number
    readonly rebalances: number
    readonly replayedRanges: number
    readonly droppedDuplicates: number
  }
  readonly otlp: { readonly windows: number; readonly repeats: number }
  readonly ownEnds: number
  /** From the last record, or the last fault, to the last correct window. */
  readonly settledMs: number
  readonly tookMs: number
  readonly outputs: string
}

const SETTLE_MS_MAX = 120_000
const CATCH_UP_MS_MAX = 120_000

/** Starts everything, lets the faults strike while records are sent, and checks what came out. */
export function runFaults(options: FaultOptions): Promise<FaultReport> {
  const { faults, seed, requests, chunksMax, fromCommit, log } = options
  const beganMs = Date.now()
  return withSystem(fromCommit, log, async (system) => {
    const upgrades = fromCommit !== null
    const schedule = planFaults(system, { ...options, upgrades, everyMs: null })
    const spanUs = Math.max(600e6, faults * 10e6)
    const traffic = { seed, requests, chunksMax, spanUs, partitions: PARTITIONS }
    const load = startLoad(system.cluster, traffic, schedule.leftMs)
    await schedule.run()
    await load.end()
    log(`all is sent: ${load.acknowledged.size} records and ${load.unknown.size} unknown ones`)
    return checkRun(system, schedule, load, beganMs, log)
  })
}

/** Waits until the pipeline is done, and compares all that it has left with what was sent. */
export async function checkRun(
  system: System,
  { strikes }: Schedule,
  load: Load,
  beganMs: number,
  log: (line: string) => void,
): Promise<FaultReport> {
  const { cluster, running, progress } = system
  const endMs = Date.now()
  const wrong: string[] = []
  const add = (what: string, found: readonly string[]) => {
    wrong.push(...found.slice(0, 5))
    log(`${what}: ${found.length === 0 ? 'right' : `${found.length} wrong`}`)
  }
  // Who reads ten million chunks takes the processors that the last recovery needs.
  const allCaughtUp = async () => {
    for (const group of GROUP_NAMES) wrong.push(...(await caughtUp(progress, group)))
  }
  await allCaughtUp()
  const raw = await readRaw(system, load)
  add(`${raw.chunks} chunks in the raw topic`, raw.wrong)
  add(
    `${raw.exact.size} windows`,
    await windowFaults(cluster, raw.exact, Date.now() + SETTLE_MS_MAX),
  )
  const settledMs = Date.now() - endMs
  await allCaughtUp()
  add('triggers', await triggerDifferences(cluster))
  // What is not a whole file yet is written when it stops.
  await running.get('exporter 1')!.stop()
  add('lake', await lakeFaults(system, raw))
  add('lake, compacted', await compactedFaults(system, raw))
  const otlp = await otlpFaults(system)
  add('OTLP', otlp.wrong)
  add('audit', await auditFaults(system))
  const { repeated, dropped } = await repeatedRanges(cluster)
  return {
    wrong,
    records: raw.records,
    chunks: raw.chunks,
    unknown: load.unknown.size,
    windows: raw.exact.size,
    struck: countBy(strikes, ({ kind, service }) => `${kind} ${service}`.trim()),
    recoveriesMs: recoveries(strikes, progress),
    seen: {
      killsInWork: strikes.filter(({ hadWork }) => hadWork).length,
      failpoints: [...running.values()].reduce((sum, each) => sum + each.failpoints, 0),
      rebalances: [...running.values()].reduce((sum, each) => sum + reassignments(each), 0),
      replayedRanges: repeated,
      droppedDuplicates: dropped,
    },
    otlp: { windows: otlp.windows, repeats: otlp.repeats },
    ownEnds: [...running.values()].reduce((sum, each) => sum + each.ownEnds, 0),
    settledMs,
    tookMs: Date.now() - beganMs,
    outputs: [...running.values()].map((each) => `${each.name}:\n${each.output()}`).join('\n'),
  }
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Record<string, number> {
  const groups = Object.entries(Object.groupBy(items, keyOf))
  const sorted = groups.sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(sorted.map(([key, own]) => [key, own!.length]))
}

/** How often the processes of a service were given partitions anew, after their first ones. */
function reassignments(service: Supervised): number {
  const perProcess = service
    .output()
    .split(ENDED)
    .map((output) => {
      const stages = [...output.matchAll(/(\S+): (?:no )?partitions/g)].map(([, stage]) => stage)
      return stages.length - new Set(stages).size
    })
  return perProcess.reduce((sum, each) => sum + each, 0)
}

async function caughtUp(progress: Progress, group: string): Promise<readonly string[]> {
  const atMs = Date.now()
  while (!progress.hasPassed(group, atMs)) {
    if (Date.now() > atMs + CATCH_UP_MS_MAX) return [`${group} does not catch up`]
    await sleep(500)
  }
  return []
}
