import type { NewRecord, Sink } from '../../../services/bus/port.ts'
import { LensError } from '../../../services/core/errors.ts'

/** What an append does: it is answered, refused, lost or silent, before or after the log has it. */
export type Fate =
  | 'ok'
  | 'unavailable'
  | 'refused'
  | 'lost'
  | 'lost_after'
  | 'foreign'
  | 'silent'
  | 'silent_after'

export interface Append {
  readonly sink: number
  readonly topic: string
  readonly partition: number
  readonly records: readonly NewRecord[]
}

/** A log behind sinks that fail as `fate` says. */
export interface FaultyLog {
  readonly open: () => Promise<Sink>
  /** Every append, whatever came of it. */
  readonly appends: Append[]
  /** What is in the log. */
  readonly stored: Append[]
  readonly closed: number[]
  opened(): number
}

/** `fate` decides about an append, `canOpen` about the opening of the nth sink. */
export function createFaultyLog(
  fate: (append: Append, nth: number) => Fate = () => 'ok',
  canOpen: (nth: number) => boolean = () => true,
): FaultyLog {
  const appends: Append[] = []
  const stored: Append[] = []
  const closed: number[] = []
  let opened = 0

  async function append(entry: Append) {
    appends.push(entry)
    const what = fate(entry, appends.length)
    if (['ok', 'lost_after', 'silent_after'].includes(what)) stored.push(entry)
    if (what === 'ok') return { baseOffset: 0, appendMs: null }
    if (what.startsWith('silent')) return new Promise<never>(() => {})
    if (what === 'foreign') throw new TypeError('not ours')
    const lost = what === 'lost' || what === 'lost_after'
    const code = lost ? 'send_outcome_unknown' : 'broker_unavailable'
    throw new LensError(code, what, { retryable: what !== 'refused' })
  }

  return {
    appends,
    stored,
    closed,
    opened: () => opened,
    async open() {
      const sink = opened++
      if (!canOpen(sink))
        throw new LensError('broker_unavailable', 'no broker', { retryable: true })
      return {
        append: (topic, partition, records) => append({ sink, topic, partition, records }),
        async close() {
          closed.push(sink)
        },
      }
    },
  }
}
