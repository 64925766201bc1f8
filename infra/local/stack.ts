import type { ChildProcess } from 'node:child_process'
import { join, resolve } from 'node:path'
import { LensError } from '../../services/core/errors.ts'
import { ended, hasEnded, signalGroup } from './child.ts'
import { claimFolder, releaseFolder } from './data-folder.ts'
import { installPart, isInstalled } from './install.ts'
import { kafka } from './kafka.ts'
import type { Part, PartName } from './part.ts'
import { registry } from './registry.ts'
import { s3 } from './s3.ts'
import { endPart, type Started, startOnFreePorts, startPart } from './start-part.ts'
import { checkTools } from './tools.ts'

const PARTS: Readonly<Record<PartName, Part>> = { kafka, registry, s3 }

export const PART_NAMES = Object.keys(PARTS) as readonly PartName[]

export interface StackOptions {
  readonly parts: readonly PartName[]
  /** Kept by stop(); a later stack may go on with it. */
  readonly dataFolder: string
  readonly log: (line: string) => void
  /** Gives up installing and starting. */
  readonly signal?: AbortSignal
}

export interface Stack {
  /** The variables by which the services find the parts. */
  readonly env: Readonly<Record<string, string>>
  /** The running process of each started part; start() puts a new one here. */
  readonly processes: Readonly<Record<string, ChildProcess>>
  /** Ends every part: SIGTERM, after 5 s SIGKILL. */
  stop(): Promise<void>
  /** Sends a signal to a part; resolves when it is gone, at once for SIGSTOP and SIGCONT. */
  kill(part: PartName, signal: NodeJS.Signals): Promise<void>
  /** Starts a part that has ended, on the same ports and data, and waits until it answers. */
  start(part: PartName): Promise<void>
}

/**
 * Runs real servers without Docker: installs what the cache lacks, then starts all parts at once
 * and waits until each answers. Throws LensError part_missing when a part cannot be had, and
 * configuration_invalid when the data folder is not ours to use; then nothing runs.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { log } = options
  const parts = [...new Set(options.parts)].map((name) => PARTS[name])
  const dataFolder = resolve(options.dataFolder)
  const java = await checkTools(parts, isInstalled)
  claimFolder(dataFolder)
  try {
    const install = (part: Part, signal: AbortSignal) => installPart(part, log, signal)
    const homes = await allOrNone(parts, install, options.signal)
    const start = async (part: Part, signal: AbortSignal): Promise<Started> => {
      const began = performance.now()
      const home = homes.get(part) ?? ''
      const data = join(dataFolder, part.name)
      const started = await startOnFreePorts(part, { home, data, java }, signal)
      log(`${part.title} answers after ${((performance.now() - began) / 1000).toFixed(1)} s`)
      return started
    }
    const stop = (part: Part, { place, child }: Started) => endPart(part, place, child)
    const running = await allOrNone(parts, start, options.signal, stop)
    return handle(running, dataFolder)
  } catch (error) {
    releaseFolder(dataFolder)
    throw error
  }
}

/** Runs the work of all parts at once; the first failure gives up the others and undoes them. */
async function allOrNone<Result>(
  parts: readonly Part[],
  work: (part: Part, signal: AbortSignal) => Promise<Result>,
  outer?: AbortSignal,
  undo?: (part: Part, result: Result) => Promise<void>,
): Promise<Map<Part, Result>> {
  const failure = new AbortController()
  const signal = outer ? AbortSignal.any([outer, failure.signal]) : failure.signal
  const results = new Map<Part, Result>()
  const one = async (part: Part) => {
    try {
      results.set(part, await work(part, signal))
    } catch (error) {
      failure.abort(error)
    }
  }
  await Promise.all(parts.map(one))
  if (!failure.signal.aborted) return results
  if (undo) await Promise.all([...results].map(([part, result]) => undo(part, result)))
  throw failure.signal.reason
}

function handle(running: Map<Part, Started>, dataFolder: string): Stack {
  const env: Record<string, string> = {}
  const processes: Record<string, ChildProcess> = {}
  const places = new Map([...running].map(([part, { place }]) => [part, place]))
  for (const [part, { place, child }] of running) {
    Object.assign(env, part.env(place))
    processes[part.name] = child
  }
  const find = (name: PartName) => {
    const part = PARTS[name]
    const place = places.get(part)
    const child = processes[name]
    if (place && child) return { part, place, child }
    throw new LensError('part_missing', `this stack was started without ${name}`)
  }
  return {
    env,
    processes,
    async stop() {
      await Promise.all([...places].map(([part, place]) => end(part, place)))
      releaseFolder(dataFolder)
    },
    async kill(name, signal) {
      const { child } = find(name)
      signalGroup(child, signal)
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await ended(child)
    },
    async start(name) {
      const { part, place, child } = find(name)
      if (!hasEnded(child)) throw new LensError('part_missing', `${part.title} still runs`)
      processes[name] = await startPart(part, place)
    },
  }

  async function end(part: Part, place: Started['place']): Promise<void> {
    const child = processes[part.name]
    if (child) await endPart(part, place, child)
  }
}
