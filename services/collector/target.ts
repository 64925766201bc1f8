import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { TokenEvents } from '../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { Clock } from './clock.ts'
import type { RequestLabels } from './meter.ts'
import type { Queue } from './queue.ts'
import type { Publish, Runs } from './runs.ts'

/** What a program says of the requests that it measures itself. */
export interface Target {
  /** `model` is that of the request or of its answer if it is ''. */
  readonly labels: Partial<RequestLabels> & Pick<RequestLabels, 'endpoint'>
  /** Where the records go: into a queue, or to a function. */
  readonly queue?: Queue
  readonly onRecord?: (record: TokenEvents) => void
  readonly clock?: Clock
  readonly runs?: Runs
}

/** Label source of this process, unless it is told another. */
export function ownSource(): string {
  return `${hostname()}-${process.pid}`
}

/** All labels, those that were not given being empty. */
export function labelsOf(given: Target['labels']): RequestLabels {
  const none = { source: '', provider: '', model: '', region: '', tenant: '', attributes: {} }
  return { request_id: randomUUID(), ...none, ...given }
}

/** Hands records on; the caller's stream goes on whatever happens to its measuring. */
export function publisherOf({ queue, onRecord }: Target): Publish {
  return harmless((record) => {
    queue?.add(TOKEN_EVENTS, record.request_id, record)
    onRecord?.(record)
  })
}

/** The same without its errors. */
export function harmless<A>(step: (argument: A) => void): (argument: A) => void {
  return (argument) => {
    try {
      step(argument)
    } catch {
      // There is nobody to tell: an error in `chunkOf` or `onRecord` is the caller's own.
    }
  }
}

/** Whether the caller gave the request up itself, which client libraries throw. */
export function isAbort(error: unknown): boolean {
  const name = error instanceof Error ? error.name : ''
  return name === 'AbortError' || name === 'APIUserAbortError'
}
