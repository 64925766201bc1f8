/** Steady load and a fault a minute: memory, handles and lag must be afterwards what they were. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLoad } from './load.ts'
import { checkRun, type FaultReport } from './run-faults.ts'
import { planFaults } from './schedule.ts'
import { GROUP_NAMES, PARTITIONS, type System, withSystem } from './system.ts'

export interface SoakOptions {
  /** Faults, one a minute. */
  readonly minutes: number
  readonly seed: number
  readonly requestsPerSecond: number
  readonly chunksMax: number
  readonly log: (line: string) => void
}

/** One thing that was watched: of a process, or of a consumer group. */
export interface Trend {
  readonly what: string
  readonly unit: string
  readonly baseline: number
  readonly peak: number
  readonly after: number
}

export interface SoakReport {
  readonly faults: FaultReport
  readonly trends: readonly Trend[]
}

interface Sample {
  readonly atMs: number
  readonly what: string
  /** What a restarted process is compared with: all of its service. */
  readonly kind: string
  readonly unit: Trend['unit']
  readonly value: number
}

const MINUTE_MS = 60_000
const SAMPLE_MS = 3_000
const PAGE_BYTES = 4_096
/** Minutes around the faults; a soak of less than ten has less of them, too. */
const WARM_UP = 4
const BASELINE = 2
/** After the last fault, before it is measured again. */
const QUIET = 1
const WHOLE_MINUTES = 10
/** Longer than any pause among the faults. */
const WARM_PAUSE_MS = 20_000
/** When it is warm, the events have filled the longest window, of a quarter of an hour. */
const WARM_EVENT_MINUTES = 16

/**
 * What may be left: V8 gives back late what it had for the work after a fault; the exporter keeps a
 * connection to S3 for each upload that was under way at once, of 12 partitions; lag moves between
 * two commits.
 */
const ALLOWED: Readonly<Record<string, (baseline: number) => number>> = {
  MiB: (baseline) => 1.25 * baseline + 25,
  handles: (baseline) => baseline + 12,
  records: (baseline) => 2 * baseline + 100,
}

/** Warm-up, baseline, a fault a minute, quiet, and the same look again; then checks it all. */
export function runSoak(options: SoakOptions): Promise<SoakReport> {
  const { minutes, seed, requestsPerSecond, chunksMax, log } = options
  return withSystem(null, log, async (system) => {
    const beganMs = Date.now()
    const partMs = MINUTE_MS * Math.min(1, minutes / WHOLE_MINUTES)
    const warmMs = beganMs + WARM_UP * partMs
    const faultsMs = warmMs + BASELINE * partMs
    const endMs = faultsMs + minutes * MINUTE_MS + (QUIET + BASELINE) * partMs
    const totalMs = endMs - beganMs
    const requests = Math.round((totalMs / 1000) * requestsPerSecond)
    const spanUs = ((totalMs * 1000) / (warmMs - beganMs)) * WARM_EVENT_MINUTES * MINUTE_MS
    const traffic = { seed, requests, chunksMax, spanUs, partitions: PARTITIONS }
    const load = startLoad(system.cluster, traffic, () => endMs - Date.now())
    const watch = watchProcesses(system)
    log(`warm-up and baseline until ${new Date(faultsMs).toISOString()}`)
    // V8 keeps what catching up has once needed: the baseline is of processes that have done it.
    await Promise.all([...system.running.values()].map((service) => service.pause(WARM_PAUSE_MS)))
    await sleep(faultsMs - Date.now())
    const plan = { faults: minutes, seed, outages: 0, upgrades: false, everyMs: MINUTE_MS, log }
    const schedule = planFaults(system, plan)
    await schedule.run()
    log('quiet')
    await sleep(QUIET * partMs)
    const againMs = Date.now()
    await sleep(BASELINE * partMs)
    const samples = watch.stop()
    await load.end()
    const trends = trendsOf(samples, [warmMs, faultsMs], [againMs, Date.now()])
    return { trends, faults: await checkRun(system, schedule, load, beganMs, log) }
  })
}

/** What has not returned, in words. */
export function notReturned(trends: readonly Trend[]): readonly string[] {
  return trends.flatMap(({ what, unit, baseline, after }) => {
    const most = ALLOWED[unit]!(baseline)
    const text = `${what}: ${after.toFixed(0)} ${unit} after the faults, ${baseline.toFixed(0)} before`
    return after <= most ? [] : [`${text}; at most ${most.toFixed(0)}`]
  })
}

/** A line for each. */
export function trendLines(trends: readonly Trend[]): readonly string[] {
  const cells = (...texts: readonly string[]) =>
    texts.map((text, i) => (i === 0 ? text.padEnd(28) : text.padStart(10))).join(' ')
  return [
    cells('', 'before', 'peak', 'after', 'at most'),
    ...trends.map(({ what, unit, baseline, peak, after }) =>
      cells(
        `${what}, ${unit}`,
        ...[baseline, peak, after, ALLOWED[unit]!(baseline)].map((value) => value.toFixed(0)),
      ),
    ),
  ]
}

function watchProcesses({ running, progress }: System) {
  const samples: Sample[] = []
  const timer = setInterval(() => {
    const atMs = Date.now()
    for (const [name, service] of running) {
      const seen = lookAt(service.pid())
      if (!seen) continue
      const kind = name.split(' ')[0]!
      samples.push({ atMs, what: name, kind, unit: 'MiB', value: seen.rssMib })
      samples.push({ atMs, what: name, kind, unit: 'handles', value: seen.handles })
    }
    for (const group of GROUP_NAMES) {
      const value = progress.backlog(group)
      samples.push({ atMs, what: group, kind: group, unit: 'records', value })
    }
  }, SAMPLE_MS)
  return {
    stop() {
      clearInterval(timer)
      return samples as readonly Sample[]
    },
  }
}

/** Null when it has just ended. */
function lookAt(pid: number | null): { rssMib: number; handles: number } | null {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
    const handles = readdirSync(`/proc/${pid}/fd`).length
    return { rssMib: (pages * PAGE_BYTES) / 2 ** 20, handles }
  } catch {
    return null
  }
}

type Span = readonly [fromMs: number, toMs: number]

/** Medians; the baseline of a process is the largest of its service's. */
function trendsOf(samples: readonly Sample[], before: Span, after: Span): readonly Trend[] {
  const within = ([from, to]: Span, list: readonly Sample[]) =>
    list.filter(({ atMs }) => atMs >= from && atMs < to)
  const mid = (list: readonly Sample[]) => {
    const sorted = list.map(({ value }) => value).sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  }
  const byName = (list: readonly Sample[]) => [
    ...Map.groupBy(list, ({ what, unit }) => `${what} ${unit}`).values(),
  ]
  return byName(samples).map((own) => {
    const { what, kind, unit } = own[0]!
    const alike = samples.filter((sample) => sample.kind === kind && sample.unit === unit)
    return {
      what,
      unit,
      baseline: Math.max(...byName(within(before, alike)).map(mid)),
      peak: Math.max(...own.map(({ value }) => value)),
      after: mid(within(after, own)),
    }
  })
}
