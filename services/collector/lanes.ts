import type { NewRecord } from '../bus/port.ts'
import { partitionOf } from '../core/hash.ts'

/** What came of some records that were taken out of a lane. */
export type Settle = (records: readonly NewRecord[], outcome: string) => void

/** Sends records to one topic-partition; never rejects. */
export type Send = (
  topic: string,
  partition: number,
  records: readonly NewRecord[],
) => Promise<string>

/** Records by topic-partition: in order, one send at a time each, and never two in one send. */
export interface Lanes {
  add(topic: string, record: NewRecord & { readonly key: string }): void
  /** Sends what waits, in every lane that is not still busy with its last send. */
  flush(): void
  /** Records that no send has taken yet. */
  waiting(): number
  /** Records that a send has taken and that are not settled. */
  sending(): number
  /** Resolves when the sends that run now have ended. */
  idle(): Promise<void>
}

interface Lane {
  readonly topic: string
  readonly partition: number
  waiting: NewRecord[]
  sending: number
  idle: Promise<void>
}

/** Far below the largest batch of any topic, and large enough to make sends few. */
const SEND_BYTES_MAX = 512 * 1024

/** Lanes for the topics in `partitions`, which holds their partition counts. */
export function createLanes(
  partitions: Readonly<Record<string, number>>,
  send: Send,
  settle: Settle,
): Lanes {
  const lanes = new Map<string, Lane>()
  const all = () => [...lanes.values()]

  function laneOf(topic: string, key: string): Lane {
    const count = partitions[topic]
    if (!count) throw new Error(`the number of partitions of ${topic} is not known`)
    const partition = partitionOf(key, count)
    const name = `${topic}-${partition}`
    let lane = lanes.get(name)
    if (!lane) {
      lane = { topic, partition, waiting: [], sending: 0, idle: Promise.resolve() }
      lanes.set(name, lane)
    }
    return lane
  }

  async function sendAll(lane: Lane, records: readonly NewRecord[]): Promise<void> {
    for (const part of partsOf(records)) {
      const outcome = await send(lane.topic, lane.partition, part)
      lane.sending -= part.length
      settle(part, outcome)
    }
  }

  return {
    add: (topic, record) => void laneOf(topic, record.key).waiting.push(record),
    flush() {
      for (const lane of lanes.values()) {
        if (lane.sending > 0 || lane.waiting.length === 0) continue
        const records = lane.waiting
        lane.waiting = []
        lane.sending = records.length
        lane.idle = sendAll(lane, records)
      }
    },
    waiting: () => all().reduce((sum, lane) => sum + lane.waiting.length, 0),
    sending: () => all().reduce((sum, lane) => sum + lane.sending, 0),
    async idle() {
      await Promise.all(all().map((lane) => lane.idle))
    },
  }
}

/** Bytes that a record counts for in our limits. */
export function sizeOf({ key, value }: NewRecord): number {
  return (key?.length ?? 0) + value.length
}

function partsOf(records: readonly NewRecord[]): NewRecord[][] {
  const parts: NewRecord[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const record of records) {
    bytes += sizeOf(record)
    if (bytes > SEND_BYTES_MAX) {
      parts.push([])
      bytes = sizeOf(record)
    }
    parts.at(-1)!.push(record)
  }
  return parts
}
