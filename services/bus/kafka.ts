import './kafkajs-patch.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Admin, Kafka, type LogEntry, logLevel, type RetryOptions } from 'kafkajs'
import { LensError } from '../core/errors.ts'
import { createKafkaSink } from './kafka-sink.ts'
import { createKafkaSource, readPartition } from './kafka-source.ts'
import type { Bus, TopicSpec } from './port.ts'

export interface KafkaOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly log: (line: string) => void
}

/** A user who has named a broker that is not there hears of it within a quarter of a minute. */
const RETRY: RetryOptions = { initialRetryTime: 100, maxRetryTime: 5_000, retries: 8 }

/**
 * A send in whose middle the broker goes is over when its client does not find it again; who may
 * send the same twice need not wait for that.
 */
const PATIENT: RetryOptions = { ...RETRY, retries: 30 }

/** The bus on Apache Kafka, by kafkajs 2.2.4 without its transactions (design §4). */
export function createKafkaBus({ brokers, clientId, log }: KafkaOptions): Bus {
  const client = (retry: RetryOptions) =>
    new Kafka({
      clientId,
      brokers: [...brokers],
      connectionTimeout: 5_000,
      requestTimeout: 15_000,
      retry,
      logLevel: logLevel.ERROR,
      logCreator: () => (entry) => tell(entry, log),
    })
  const kafka = client(RETRY)
  let connected: Promise<Admin> | null = null

  function admin(): Promise<Admin> {
    connected ??= connect(kafka, brokers).catch((error) => {
      connected = null
      throw error
    })
    return connected
  }

  return {
    sink: (patient = false) => createKafkaSink(patient ? client(PATIENT) : kafka),
    source: (group, topics) => createKafkaSource({ kafka, admin, group, topics }),
    async partitionCounts(topics) {
      const client = await admin()
      const existing = new Set(await client.listTopics())
      const wanted = topics.filter((topic) => existing.has(topic))
      if (wanted.length === 0) return {}
      const metadata = await client.fetchTopicMetadata({ topics: [...wanted] })
      return Object.fromEntries(metadata.topics.map((row) => [row.name, row.partitions.length]))
    },
    async createTopics(specs) {
      const client = await admin()
      const existing = new Set(await client.listTopics())
      const fresh = specs.filter((spec) => !existing.has(spec.name))
      if (fresh.length > 0) {
        await client.createTopics({ topics: fresh.map(topicRequest), waitForLeaders: false })
        await untilLed(
          client,
          fresh.map(({ name }) => name),
        )
      }
      return fresh.map((spec) => spec.name)
    },
    async offsets(topic) {
      const rows = await (await admin()).fetchTopicOffsets(topic)
      const byPartition = [...rows].sort((a, b) => a.partition - b.partition)
      return byPartition.map((row) => ({ first: Number(row.low), end: Number(row.high) }))
    },
    readAll: async (topic, partition) => readPartition(kafka, await admin(), topic, partition),
    async close() {
      if (connected) await (await connected).disconnect()
    },
  }
}

/** A rebalance is told by the stage itself; to kafkajs each answer of the broker is an error. */
function tell({ namespace, log: { message, error } }: LogEntry, log: (line: string) => void): void {
  if (/rebalanc|generation id|not aware of this member/i.test(String(error))) return
  log(`kafka: ${namespace}: ${message}${error ? `: ${error}` : ''}`)
}

async function connect(kafka: Kafka, brokers: readonly string[]): Promise<Admin> {
  const client = kafka.admin()
  try {
    await client.connect()
    return client
  } catch (cause) {
    throw new LensError(
      'broker_unavailable',
      `no Kafka broker answers at ${brokers.join(',')} (KAFKA_BROKERS): ${(cause as Error).message}`,
      { retryable: true, cause },
    )
  }
}

const LEADERS_MS = 15_000
const NOT_YET = new Set([
  'LEADER_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  // A leader is named before it knows of it.
  'NOT_LEADER_FOR_PARTITION',
])

/** kafkajs waits for leaders, but not for a slow broker to hear of a topic that it has made. */
async function untilLed(client: Admin, topics: string[]): Promise<void> {
  const deadlineMs = performance.now() + LEADERS_MS
  for (;;) {
    try {
      await client.fetchTopicMetadata({ topics })
      for (const topic of topics) await client.fetchTopicOffsets(topic)
      return
    } catch (error) {
      const { type = '' } = error as { readonly type?: string }
      if (!NOT_YET.has(type) || performance.now() > deadlineMs) throw error
    }
    await sleep(100)
  }
}

function topicRequest(spec: TopicSpec) {
  return {
    topic: spec.name,
    numPartitions: spec.partitions,
    replicationFactor: spec.replication,
    configEntries: Object.entries(spec.settings).map(([name, value]) => ({ name, value })),
  }
}
