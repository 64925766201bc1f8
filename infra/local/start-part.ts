import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LensError } from '../../services/core/errors.ts'
import { endChild, hasEnded, howEnded, lastLines, startChild } from './child.ts'
import type { Part, Place } from './part.ts'
import { allFree, pickPorts } from './ports.ts'

const START_MS_MAX = 90_000
const PROBE_PAUSE_MS = 100
const PORT_TRIES_MAX = 5

export interface Started {
  readonly place: Place
  readonly child: ChildProcess
}

/**
 * Starts a part at its place and waits until it answers. Throws LensError part_missing with the
 * last lines of its log when it dies or stays silent; then nothing of it runs any more.
 */
export async function startPart(
  part: Part,
  place: Place,
  signal?: AbortSignal,
): Promise<ChildProcess> {
  await part.prepare(place)
  signal?.throwIfAborted()
  const child = startChild(part.command(place), logFile(part, place))
  try {
    await untilAnswers(part, place, child, signal)
    return child
  } catch (error) {
    await endPart(part, place, child)
    throw error
  }
}

/** Starts a part on ports that nobody uses, on other ones when somebody was faster. */
export async function startOnFreePorts(
  part: Part,
  home: Omit<Place, 'ports'>,
  signal?: AbortSignal,
): Promise<Started> {
  for (let tries = 1; ; tries++) {
    const place = { ...home, ports: await pickPorts(part.portCount) }
    try {
      return { place, child: await startPart(part, place, signal) }
    } catch (error) {
      const portTaken = !(await allFree(place.ports))
      if (!portTaken || signal?.aborted || tries === PORT_TRIES_MAX) throw error
    }
  }
}

/** Resolves when the part is gone and has been cleaned up after. */
export async function endPart(part: Part, place: Place, child: ChildProcess): Promise<void> {
  await endChild(child)
  part.cleanUp?.(place)
}

/** The file that a part's output is appended to. */
export function logFile(part: Part, place: Place): string {
  return join(place.data, `${part.name}.log`)
}

async function untilAnswers(
  part: Part,
  place: Place,
  child: ChildProcess,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + START_MS_MAX
  for (;;) {
    signal?.throwIfAborted()
    const answer = await part.probe(place).catch((error: Error) => error)
    if (hasEnded(child)) throw startFault(part, place, howEnded(child))
    if (!(answer instanceof Error)) return
    if (performance.now() > deadline) {
      const reason = `did not answer within ${START_MS_MAX / 1000} s (${answer.message})`
      throw startFault(part, place, reason)
    }
    await sleep(PROBE_PAUSE_MS)
  }
}

function startFault(part: Part, place: Place, reason: string): LensError {
  const file = logFile(part, place)
  const message = `${part.title} ${reason} while starting; the end of ${file}:\n${lastLines(file)}`
  return new LensError('part_missing', message, { retryable: true })
}
