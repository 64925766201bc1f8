/** The whole system as processes on real servers, with the load's end of it in our hands. */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AGGREGATES,
  RESOURCE_SAMPLES,
  TOKEN_EVENTS,
  TRIGGER_EVENTS,
  WINDOW_SLICES,
} from '../../schemas/topics.ts'
import { type Cluster, openCluster } from '../broker/cluster.ts'
import { SERVICES } from '../broker/processes.ts'
import { type FaultyStack, startFaultyStack } from './faulty-stack.ts'
import { checkOut } from './previous.ts'
import { type Progress, watchProgress } from './progress.ts'
import { type Supervised, supervise } from './supervisor.ts'

export interface System {
  readonly stack: FaultyStack
  readonly cluster: Cluster
  readonly running: ReadonlyMap<string, Supervised>
  readonly progress: Progress
  /** URL of the lake. */
  readonly lake: string
  /** Starts one more of the service that is named so; it is stopped by what is returned. */
  startExtra(name: string): Promise<() => Promise<void>>
}

export const PARTITIONS = 4
export const RULES = new URL('rules.yaml', import.meta.url).pathname

const START_MS_MAX = 120_000

const ARGV: Readonly<Record<string, readonly string[]>> = {
  windowing: ['--idle-after', '5s'],
  triggers: ['--rules', RULES],
  // It commits when a file is full or over: what is measured is the recovery, not this.
  exporter: ['--roll', '5s'],
}

const GROUPS = {
  'lens-windowing': [TOKEN_EVENTS, RESOURCE_SAMPLES],
  'lens-statistics': [WINDOW_SLICES],
  'lens-triggers': [AGGREGATES],
  'lens-exporter-lake': [TOKEN_EVENTS, RESOURCE_SAMPLES, AGGREGATES, TRIGGER_EVENTS],
  'lens-exporter-otlp': [AGGREGATES],
}

export const GROUP_NAMES = Object.keys(GROUPS)

/** Starts everything, does the work, ends everything. `fromCommit`: with the services of then. */
export async function withSystem<Result>(
  fromCommit: string | null,
  log: (line: string) => void,
  work: (system: System) => Promise<Result>,
): Promise<Result> {
  const root = fromCommit === null ? undefined : checkOut(fromCommit)
  const stack = await startFaultyStack([...SERVICES, ...new Set(SERVICES.map(extraOf))], log)
  const cluster = await openCluster(stack.env, PARTITIONS)
  const lake = `s3://lake/faults-${Date.now()}`
  const start = (name: string, from?: string): Supervised => {
    const service = name.split(' ')[0]!
    const env = { ...stack.envOf(name), LAKE_URL: lake }
    return supervise(name, { service, env, argv: ARGV[service] ?? [], root: from })
  }
  const running = new Map(SERVICES.map((name) => [name, start(name, root)]))
  const progress = watchProgress(cluster.admin, GROUPS)
  async function startExtra(name: string): Promise<() => Promise<void>> {
    const service = start(extraOf(name))
    return () => service.stop().then(() => {})
  }
  try {
    // A fault before would strike what has not begun.
    const lastMs = Date.now() + START_MS_MAX
    const isUp = (each: Supervised) => each.output().includes(': running')
    while (![...running.values()].every(isUp)) {
      if (Date.now() > lastMs) throw new Error('not every service has started')
      await sleep(100)
    }
    return await work({ stack, cluster, running, progress, lake, startExtra })
  } finally {
    await progress.stop()
    await Promise.all([...running.values()].map((service) => service.stop()))
    await cluster.close()
    await stack.stop()
  }
}

/** The name of one more than there are. */
function extraOf(name: string): string {
  return `${name.split(' ')[0]} 3`
}
