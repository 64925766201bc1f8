import type { NewRecord } from '../bus/port.ts'
import { LensError } from '../core/errors.ts'
import { partitionOf } from '../core/hash.ts'
import type { Clock } from './clock.ts'
import type { Spool, Spooling } from './spool.ts'
import type { Numbered } from './spool-table.ts'

/** What came of some records that were held here, or that were read from the spool. */
export type Settle = (records: readonly NewRecord[], outcome: string, spooled: boolean) => void

/** Sends records to one topic-partition; never rejects. */
export type Send = (
  topic: string,
  partition: number,
  records: readonly NewRecord[],
) => Promise<string>

export interface LanesOptions {
  /** Partition counts of the topics. */
  readonly partitions: Readonly<Record<string, number>>
  readonly send: Send
  readonly settle: Settle
  readonly clock: Clock
  /** Where records wait that would wait here for longer than `spoolAfterMs`. */
  readonly spool?: Spool | undefined
  readonly spoolAfterMs: number
}

/**
 * Records by topic-partition: in order, one send at a time each, and never two in one send. Within
 * a lane, what a send gave back is older than what is in the spool, and that than what waits.
 */
export interface Lanes {
  add(topic: string, record: NewRecord & { readonly key: string }): void
  /** Undoes the last add(). */
  removeLast(): void
  /** Sends what waits, in every lane that is not still busy with its last send. */
  flush(): void
  /** To be awaited before a lane's records are handed to the log. */
  begin(topic: string, partition: number): Promise<void>
  /** Moves the oldest records of lanes that are held up to the spool, or of all; how many. */
  spill(which: 'old' | 'held_up' | 'all'): number
  /** Records that no send has taken yet: here, and here or in the spool. */
  waiting(): number
  pending(): number
  /** Sends that run, and those of them that the log has heard of. */
  sending(): number
  begun(): number
  /** Resolves when the sends that run now have ended. */
  idle(): Promise<void>
  /** Gives everything up that runs or waits; what is in the spool and not begun stays there. */
  abandon(): void
}

/** Records that a send has taken. */
interface Part {
  readonly records: readonly Numbered[]
  readonly spooled: boolean
  begun: boolean
}

interface Lane {
  readonly topic: string
  readonly partition: number
  /** Certainly not in the log though a send had them; only with a spool. */
  returned: Numbered[]
  waiting: Numbered[]
  /** How many of `waiting` belong to the flush that runs. */
  due: number
  /** Since when none of `waiting` has been taken. */
  sinceUs: number
  part: Part | null
  idle: Promise<void>
}

/** Far below the largest batch of any topic, and large enough to make sends few. */
const SEND_BYTES_MAX = 512 * 1024

/** Of one transaction, which holds everything else up: 1 to 3 ms. */
const SPILL_RECORDS_MAX = 1000
const SPILL_BYTES_MAX = 512 * 1024

/** Lanes for the topics in `partitions`, and for what is left in the spool. */
export function createLanes(options: LanesOptions): Lanes {
  const { partitions, send, settle, clock, spool, spoolAfterMs } = options
  const lanes = new Map<string, Lane>()
  const all = () => [...lanes.values()]
  const sum = (count: (lane: Lane) => number) => all().reduce((n, lane) => n + count(lane), 0)
  const spooledIn = ({ topic, partition }: Lane) => spool?.records(topic, partition) ?? 0
  let seq = spool?.nextSeq ?? 0
  let last: Lane | null = null
  for (const { topic, partition } of spool?.places() ?? []) laneAt(topic, partition)

  function laneAt(topic: string, partition: number): Lane {
    const name = `${topic}-${partition}`
    let lane = lanes.get(name)
    if (!lane) {
      const idle = Promise.resolve()
      lane = { topic, partition, returned: [], waiting: [], due: 0, sinceUs: 0, part: null, idle }
      lanes.set(name, lane)
    }
    return lane
  }

  const isHeldUp = (lane: Lane) => lane.part !== null || spooledIn(lane) > 0
  const isOld = ({ returned, waiting, sinceUs }: Lane) =>
    returned.length > 0 ||
    (waiting.length > 0 && clock.monotonicUs() - sinceUs >= spoolAfterMs * 1000)
  const CHOICE = { old: isOld, held_up: isHeldUp, all: () => true }

  /** The oldest that the flush may send: one part. */
  function take(lane: Lane): Part {
    const { topic, partition } = lane
    const part = { spooled: false, begun: false }
    if (lane.returned.length > 0) {
      return { ...part, records: lane.returned.splice(0, partLength(lane.returned)) }
    }
    if (spooledIn(lane) > 0) {
      const records = spool!.oldest(topic, partition, SEND_BYTES_MAX)
      return { ...part, records, spooled: true }
    }
    const count = partLength(lane.waiting.slice(0, lane.due))
    lane.due -= count
    lane.sinceUs = clock.monotonicUs()
    return { ...part, records: lane.waiting.splice(0, count) }
  }

  /** From the spool one part a flush, so that the live records of other lanes get their turn. */
  async function sendDue(lane: Lane): Promise<void> {
    for (;;) {
      const part = take(lane)
      if (part.records.length === 0) return
      lane.part = part
      const outcome = await send(lane.topic, lane.partition, part.records)
      if (lane.part !== part) return
      lane.part = null
      finish(lane, part, outcome)
      if (part.spooled || lane.returned.length > 0) return
    }
  }

  function finish(lane: Lane, part: Part, outcome: string): void {
    const stay = spool !== undefined && outcome === 'broker_unavailable'
    if (part.spooled) spool!.end(lane.topic, lane.partition, part.records, stay)
    else if (stay) lane.returned = [...part.records, ...lane.returned]
    if (!stay) settle(part.records, outcome, part.spooled)
  }

  function spill(which: keyof typeof CHOICE): number {
    const chosen = oldestOf(all().filter(CHOICE[which]))
    const moved = chosen.length === 0 ? [] : chosen.slice(0, spool!.add(chosen))
    for (const [lane, { length }] of Map.groupBy(moved, ({ lane }) => lane)) {
      const returned = lane.returned.splice(0, length).length
      lane.waiting.splice(0, length - returned)
    }
    const records = moved.map(({ record }) => record)
    if (records.length > 0) settle(records, 'spooled', false)
    return records.length
  }

  return {
    add(topic, record) {
      const count = partitions[topic]
      if (!count) throw new Error(`the number of partitions of ${topic} is not known`)
      last = laneAt(topic, partitionOf(record.key, count))
      if (last.waiting.length === 0) last.sinceUs = clock.monotonicUs()
      last.waiting.push({ ...record, seq: seq++ })
    },
    removeLast: () => void last?.waiting.pop(),
    flush() {
      for (const lane of lanes.values()) {
        if (lane.part !== null || lane.due > 0) continue
        lane.due = lane.waiting.length
        lane.idle = sendDue(lane).finally(() => {
          lane.due = 0
        })
      }
    },
    async begin(topic, partition) {
      const { part } = laneAt(topic, partition)
      if (part === null) throw new LensError('broker_unavailable', 'the queue is closed')
      part.begun = true
      if (part.spooled) await spool!.begin(topic, partition, part.records)
    },
    spill,
    waiting: () => sum((lane) => lane.returned.length + lane.waiting.length),
    pending: () => sum((lane) => lane.returned.length + lane.waiting.length + spooledIn(lane)),
    sending: () => sum(({ part }) => (part === null ? 0 : 1)),
    begun: () => sum(({ part }) => (part?.begun ? 1 : 0)),
    async idle() {
      await Promise.all(all().map((lane) => lane.idle))
    },
    abandon() {
      for (const lane of lanes.values()) {
        const { part } = lane
        lane.part = null
        if (part !== null) finish(lane, part, part.begun ? 'unknown' : 'broker_unavailable')
      }
      while (spool && spill('all') > 0);
      for (const lane of lanes.values()) {
        const left = [...lane.returned.splice(0), ...lane.waiting.splice(0)]
        if (left.length > 0) settle(left, 'close_deadline', false)
      }
    },
  }
}

/** Bytes that a record counts for in our limits. */
export function sizeOf({ key, value }: NewRecord): number {
  return (key?.length ?? 0) + value.length
}

/** How many of these, from the first on, one send takes: at least one, if there is one. */
function partLength(records: readonly NewRecord[]): number {
  let bytes = 0
  const end = records.findIndex((record, i) => {
    bytes += sizeOf(record)
    return i > 0 && bytes > SEND_BYTES_MAX
  })
  return end < 0 ? records.length : end
}

/** The oldest records of each lane, as many as one transaction takes. */
function oldestOf(lanes: readonly Lane[]): (Spooling & { readonly lane: Lane })[] {
  const chosen: (Spooling & { readonly lane: Lane })[] = []
  let bytes = 0
  for (const lane of lanes) {
    const { topic, partition } = lane
    for (const record of [...lane.returned, ...lane.waiting.slice(0, SPILL_RECORDS_MAX)]) {
      bytes += sizeOf(record)
      if (chosen.length === SPILL_RECORDS_MAX) return chosen
      if (chosen.length > 0 && bytes > SPILL_BYTES_MAX) return chosen
      chosen.push({ lane, topic, partition, record })
    }
  }
  return chosen
}
