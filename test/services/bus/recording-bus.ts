/** A memory bus whose sink writes down every append and fails where it is told. */
import {
  createMemoryBus,
  type MemoryBus,
  type MemoryBusOptions,
} from '../../../services/bus/memory.ts'
import type { Appended, Bus, NewRecord } from '../../../services/bus/port.ts'
import { createTopics } from '../../../services/bus/topics.ts'
import { createHandClock, type HandClock } from '../../pipeline/harness.ts'
import { NOON_MS } from '../../records.ts'

export interface Append {
  readonly topic: string
  readonly partition: number
  readonly records: readonly NewRecord[]
}

export interface RecordingBus {
  readonly bus: Bus
  readonly memory: MemoryBus
  readonly clock: HandClock
  readonly appends: Append[]
  /** Asked before each append; an error that it gives is the append's, which does not happen. */
  readonly faults: {
    before: (append: Append) => Error | null
    after: (append: Append) => Error | null
  }
  readonly sinks: { opened: number; closed: number }
}

/** With all topics of the system, of so many partitions each. */
export async function createRecordingBus(
  partitions: number,
  more: Partial<MemoryBusOptions> = {},
): Promise<RecordingBus> {
  const clock = createHandClock(NOON_MS)
  const memory = createMemoryBus({ clock, automatic: false, ...more })
  await createTopics(memory, { partitions, replication: 1 })
  const appends: Append[] = []
  const faults: RecordingBus['faults'] = { before: () => null, after: () => null }
  const sinks = { opened: 0, closed: 0 }
  async function sink() {
    sinks.opened++
    const inner = await memory.sink()
    return {
      async append(
        topic: string,
        partition: number,
        records: readonly NewRecord[],
      ): Promise<Appended> {
        const append = { topic, partition, records }
        const before = faults.before(append)
        if (before) throw before
        const landed = await inner.append(topic, partition, records)
        appends.push(append)
        const after = faults.after(append)
        if (after) throw after
        return landed
      },
      async close() {
        sinks.closed++
      },
    }
  }
  return { bus: { ...memory, sink }, memory, clock, appends, faults, sinks }
}
