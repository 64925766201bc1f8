/** A memory bus with one topic, and members that write down what they get. */
import {
  createMemoryBus,
  type MemoryBus,
  type MemoryBusOptions,
} from '../../../services/bus/memory.ts'
import type { RecordBatch, Source, SourceHandlers } from '../../../services/bus/port.ts'
import { createHandClock, type HandClock } from '../../pipeline/harness.ts'
import { NOON_MS } from '../../records.ts'

export const TOPIC = 'a-topic'

export interface Member {
  readonly source: Source
  /** `partition:offset` of every record that it was given. */
  readonly got: string[]
  /** `0 1` for each assignment of the partitions 0 and 1. */
  readonly assignments: string[]
  readonly failures: unknown[]
}

export interface MemoryFixture {
  readonly bus: MemoryBus
  readonly clock: HandClock
  append(partition: number, ...texts: string[]): Promise<void>
  /** A member that commits what it is given, unless it is told to do something else. */
  join(
    group: string,
    handle?: (batch: RecordBatch, source: Source) => Promise<void>,
  ): Promise<Member>
}

export async function createMemoryFixture(
  partitions: number,
  more: Partial<MemoryBusOptions> = {},
): Promise<MemoryFixture> {
  const clock = createHandClock(NOON_MS)
  const bus = createMemoryBus({ clock, automatic: false, ...more })
  await bus.createTopics([{ name: TOPIC, partitions, replication: 1, settings: {} }])
  const sink = await bus.sink()

  async function commitAll({ topic, partition, records }: RecordBatch, source: Source) {
    await source.commit(topic, partition, { offset: records.at(-1)!.offset + 1, metadata: '' })
  }

  return {
    bus,
    clock,
    async append(partition, ...texts) {
      await sink.append(
        TOPIC,
        partition,
        texts.map((text) => ({ key: null, value: Buffer.from(text) })),
      )
    },
    async join(group, handle = commitAll) {
      const source = bus.source(group, [TOPIC])
      const member: Member = { source, got: [], assignments: [], failures: [] }
      const handlers: SourceHandlers = {
        assigned: (owned) =>
          void member.assignments.push(owned.map((tp) => tp.partition).join(' ')),
        async batch(batch) {
          for (const { offset } of batch.records) member.got.push(`${batch.partition}:${offset}`)
          await handle(batch, source)
        },
        failed: (error) => void member.failures.push(error),
      }
      await source.run(handlers)
      return member
    },
  }
}
