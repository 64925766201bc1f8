/** The two buses behind services/bus/port.ts, and group members that write down what they get. */
import { randomUUID } from 'node:crypto'
import { systemClock } from '../../services/bus/clock.ts'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import { createMemoryBus } from '../../services/bus/memory.ts'
import type { Bus, Delivery, RecordBatch, Source, TopicPartition } from '../../services/bus/port.ts'
import { testEnvironment } from './environment.ts'

export const BUSES: readonly { readonly name: string; readonly open: () => Promise<Bus> }[] = [
  {
    name: 'the memory bus',
    open: async () => createMemoryBus({ clock: systemClock, automatic: true }),
  },
  {
    name: 'Kafka',
    async open() {
      const { env } = await testEnvironment()
      const brokers = env.KAFKA_BROKERS!.split(',')
      return createKafkaBus({ brokers, clientId: 'lens-test', log: () => {} })
    },
  },
]

export interface Member {
  readonly source: Source
  /** What it owns: the last assignment. */
  owned: readonly TopicPartition[]
  readonly batches: RecordBatch[]
  readonly failures: unknown[]
  /** Texts of all records that it was given, in the order of delivery. */
  texts(): string[]
  partitions(): number[]
}

export type Handle = (batch: RecordBatch, delivery: Delivery, source: Source) => Promise<void>

/** A name that no other test uses. */
export function fresh(what: string): string {
  return `test-${what}-${randomUUID()}`
}

/** A new topic whose records carry the time of their append. */
export async function newTopic(
  bus: Bus,
  partitions: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<string> {
  const name = fresh('topic')
  const all = { 'message.timestamp.type': 'LogAppendTime', ...settings }
  await bus.createTopics([{ name, partitions, replication: 1, settings: all }])
  return name
}

/** Appends texts to one partition with a sink of its own. */
export async function append(
  bus: Bus,
  topic: string,
  partition: number,
  ...texts: readonly string[]
): Promise<void> {
  const sink = await bus.sink()
  const records = texts.map((text) => ({ key: `key of ${text}`, value: Buffer.from(text) }))
  await sink.append(topic, partition, records)
  await sink.close()
}

/** Commits everything that it is given. */
export const commitAll: Handle = async ({ topic, partition, records }, _delivery, source) => {
  await source.commit(topic, partition, { offset: records.at(-1)!.offset + 1, metadata: '' })
}

/** A running member of a group. */
export async function join(
  bus: Bus,
  group: string,
  topics: readonly string[],
  handle: Handle = commitAll,
): Promise<Member> {
  const source = bus.source(group, topics)
  const member: Member = {
    source,
    owned: [],
    batches: [],
    failures: [],
    texts: () => member.batches.flatMap(({ records }) => records.map(({ value }) => String(value))),
    partitions: () => member.owned.map(({ partition }) => partition).sort(),
  }
  await source.run({
    assigned(owned) {
      member.owned = [...owned].map(({ topic, partition }) => ({ topic, partition }))
    },
    async batch(batch, delivery) {
      member.batches.push(batch)
      await handle(batch, delivery, source)
    },
    failed: (error) => void member.failures.push(error),
  })
  return member
}

const POLL_MS = 20
const WAIT_MS = 25_000

/** Resolves when it holds; throws after a while, naming what did not come. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + WAIT_MS
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`still not, after ${WAIT_MS / 1000} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
