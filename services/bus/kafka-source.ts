import { randomUUID } from 'node:crypto'
import {
  type Admin,
  AssignerProtocol,
  type Consumer,
  type Kafka,
  type KafkaMessage,
  type PartitionAssigner,
} from 'kafkajs'
import { assert, LensError } from '../core/errors.ts'
import type { LogRecord, Source, SourceHandlers, TopicPartition } from './port.ts'
import { saysMembershipLost } from './retry.ts'

interface SourceParts {
  readonly kafka: Kafka
  readonly admin: () => Promise<Admin>
  readonly group: string
  readonly topics: readonly string[]
}

const CONSUMER = {
  sessionTimeout: 10_000,
  rebalanceTimeout: 30_000,
  heartbeatInterval: 2_000,
  maxWaitTimeInMs: 250,
  maxBytesPerPartition: 4 * 1024 * 1024,
  maxBytes: 16 * 1024 * 1024,
  allowAutoTopicCreation: false,
  readUncommitted: true,
}

/** So long a fetch waits for a partition's work; then it goes on without that partition. */
const BEHIND_MAX_MS = 1_000

/** A heartbeat that is refused shows again at the end of the batch. */
const BEAT_MS = 2_000

/** A member of a consumer group. Nothing is committed but by commit(). */
export function createKafkaSource({ kafka, admin, group, topics }: SourceParts): Source {
  const consumer = kafka.consumer({ ...CONSUMER, groupId: group })
  // The broker checks who commits, not whether the partition is his; kafkajs, once it stops, takes
  // a commit and does nothing.
  let owned = new Set<string>()
  let generation = 0
  // While a partition's batch is worked on, the next one is fetched, and waits behind it.
  const under = new Map<string, Promise<void>>()
  let stopping = false

  async function run(handlers: SourceHandlers): Promise<void> {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      const partitions = partitionsOf(payload.memberAssignment as Record<string, number[]>)
      owned = new Set(partitions.map((tp) => `${tp.topic}-${tp.partition}`))
      generation++
      handlers.assigned(partitions)
    })
    // A group that was lost stays lost for good after an error that is not retriable (C6).
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart) handlers.failed(payload.error)
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [...topics], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 8,
      async eachBatch({ batch, resolveOffset, heartbeat, isStale, isRunning }) {
        const { topic, partition, messages } = batch
        const { fetchedOffset } = batch as unknown as { fetchedOffset: string }
        const at = generation
        // One broker's handlers may outlive a generation that another's fetch has ended (kafkajs
        // would note their offsets in the next one).
        const isOver = () => stopping || at !== generation || isStale() || !isRunning()
        const records = recordsOf(messages)
        const span = { from: Number(fetchedOffset), end: Number(batch.lastOffset()) + 1 }
        // An upload, or the unknown schema ids of one batch, can take longer than a session.
        const beating = setInterval(() => heartbeat().catch(() => {}), BEAT_MS)
        const place = `${topic}-${partition}`
        const last = under.get(place) ?? Promise.resolve()
        const delivery = { heartbeat, isStale: isOver }
        const whole = { topic, partition, ...span, records }
        const work = last.then(() => handlers.batch(whole, delivery)).catch(handlers.failed)
        under.set(place, work)
        try {
          if (stopping) await work
          else if (!(await isOverWithin(BEHIND_MAX_MS, last))) pauseUntil(last, topic, partition)
        } finally {
          clearInterval(beating)
        }
        if (!isOver()) resolveOffset(batch.lastOffset())
        await heartbeat()
      },
    })
  }

  /** A fetch brings batches of all partitions, and the next one waits for all of them. */
  function pauseUntil(over: Promise<void>, topic: string, partition: number): void {
    const which = [{ topic, partitions: [partition] }]
    consumer.pause(which)
    // Between a crash and its restart there is no group, and the new one has nothing paused.
    over.then(() => stopping || consumer.resume(which)).catch(() => {})
  }

  return {
    run,
    async committed(topic, partition) {
      const rows = await (await admin()).fetchOffsets({ groupId: group, topics: [topic] })
      const row = rows[0]?.partitions.find((entry) => entry.partition === partition)
      // -1 is none; -2 is what kafkajs commits when the log no longer holds what it asks for.
      if (!row || Number(row.offset) < 0) return null
      return { offset: Number(row.offset), metadata: row.metadata ?? '' }
    },
    seek: (topic, partition, offset) => consumer.seek({ topic, partition, offset: String(offset) }),
    async commit(topic, partition, { offset, metadata }) {
      if (!owned.has(`${topic}-${partition}`)) {
        const message = `${topic}-${partition} is not this member's of ${group}: not committed`
        throw new LensError('partition_lost', message)
      }
      try {
        await consumer.commitOffsets([{ topic, partition, offset: String(offset), metadata }])
      } catch (cause) {
        const message = `could not commit ${topic}-${partition} for ${group}: ${(cause as Error).message}`
        throw saysMembershipLost(cause)
          ? new LensError('partition_lost', message, { cause })
          : new LensError('broker_unavailable', message, { retryable: true, cause })
      }
    },
    async stop() {
      owned = new Set()
      stopping = true
      await Promise.all(under.values())
      await consumer.stop()
      await consumer.disconnect()
    },
  }
}

async function isOverWithin(ms: number, work: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>()
  const timer = setTimeout(late.resolve, ms, false)
  return await Promise.race([work.then(() => true), late.promise]).finally(() => {
    clearTimeout(timer)
  })
}

function partitionsOf(assignment: Readonly<Record<string, number[]>>): TopicPartition[] {
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  )
}

/** Reads one partition from its beginning to what its end is now, as a group of its own. */
export async function readPartition(
  kafka: Kafka,
  admin: Admin,
  topic: string,
  partition: number,
): Promise<readonly LogRecord[]> {
  const offsets = await admin.fetchTopicOffsets(topic)
  const range = offsets.find((row) => row.partition === partition)
  const end = Number(range?.high ?? 0)
  if (end <= Number(range?.low ?? 0)) return []
  const groupId = `lens-read-${randomUUID()}`
  const partitionAssigners = [onlyPartition(topic, partition)]
  const consumer = kafka.consumer({ ...CONSUMER, groupId, partitionAssigners })
  try {
    return await collect(consumer, topic, end)
  } finally {
    await consumer.disconnect()
    await admin.deleteGroups([groupId]).catch(() => {})
  }
}

async function collect(consumer: Consumer, topic: string, end: number): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      // It begins anew by itself, from the beginning: a broker that has just started does that.
      if (payload.restart) records.length = 0
      else reject(payload.error)
    })
    const running = consumer.run({
      autoCommit: false,
      async eachBatch({ batch }) {
        for (const record of recordsOf(batch.messages)) records.push(record)
        if (Number(batch.lastOffset()) >= end - 1) resolve()
      },
    })
    running.catch(reject)
  })
  return records
}

/** kafkajs has no manual assignment: an assigner that gives its only member one partition. */
function onlyPartition(topic: string, partition: number): PartitionAssigner {
  const name = 'lens-only-partition'
  return () => ({
    name,
    version: 1,
    assign: async ({ members }) => [
      {
        memberId: members[0]!.memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 1,
          assignment: { [topic]: [partition] },
          userData: Buffer.alloc(0),
        }),
      },
    ],
    protocol: ({ topics }) => ({
      name,
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: 1,
        topics,
        userData: Buffer.alloc(0),
      }),
    }),
  })
}

/** What record-batch.ts has made of them; kafkajs's own are of brokers before Kafka 0.11. */
function recordsOf(messages: readonly KafkaMessage[]): readonly LogRecord[] {
  const records = messages as unknown as readonly LogRecord[]
  assert(typeof (records[0]?.offset ?? 0) === 'number', 'the log has records of an old format')
  return records
}
