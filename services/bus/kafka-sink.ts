import type { Kafka, Producer } from 'kafkajs'
import { LensError } from '../core/errors.ts'
import type { Appended, NewRecord, Sink } from './port.ts'

/**
 * About a minute of a broker that refuses connections. A send is never given up from outside while
 * kafkajs still tries: it would append later, behind what was sent after it.
 */
const RETRIES = 16
const CONNECT_DEADLINE_MS = 60_000

/** Answers with which the broker has said no: nothing was appended. */
const REFUSALS = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'INVALID_TOPIC_EXCEPTION',
  'POLICY_VIOLATION',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
])

/** kafkajs starts sequence numbers again at 0 after 2^31 (research/kafka-clients.md F4). */
const RECORDS_PER_PRODUCER_MAX = 1e9

/**
 * An idempotent producer, acks from all replicas. After a surfaced error it is thrown away and
 * made anew: what was under way may or may not be in the log.
 */
export async function createKafkaSink(kafka: Kafka): Promise<Sink> {
  let producer: Promise<Producer> | null = null
  let sent = 0
  let closed = false
  await current()

  function current(): Promise<Producer> {
    producer ??= connect(kafka).catch((error) => {
      producer = null
      throw error
    })
    return producer
  }

  async function renew(): Promise<void> {
    const old = producer
    producer = null
    sent = 0
    await (await old?.catch(() => null))?.disconnect().catch(() => {})
  }

  return {
    async append(topic, partition, records) {
      if (closed) throw new LensError('broker_unavailable', 'the sink is closed')
      if (sent + records.length > RECORDS_PER_PRODUCER_MAX) await renew()
      const client = await current()
      sent += records.length
      try {
        return await send(client, topic, partition, records)
      } catch (cause) {
        if (client === (await producer?.catch(() => null))) await renew()
        throw sendFailure(topic, partition, cause)
      }
    },
    async close() {
      closed = true
      await renew()
    },
  }
}

async function connect(kafka: Kafka): Promise<Producer> {
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    retry: { initialRetryTime: 100, maxRetryTime: 5_000, retries: RETRIES },
  })
  try {
    await withDeadline(producer.connect())
  } catch (cause) {
    const message = `the Kafka producer could not connect: ${(cause as Error).message}`
    throw new LensError('broker_unavailable', message, { retryable: true, cause })
  }
  return producer
}

async function send(
  producer: Producer,
  topic: string,
  partition: number,
  records: readonly NewRecord[],
): Promise<Appended> {
  const messages = records.map(({ key, value }) => {
    const bytes = key === null || typeof key === 'string' ? key : asBuffer(key)
    return { key: bytes, value: asBuffer(value), partition }
  })
  const [result] = await producer.send({ topic, messages, acks: -1 })
  const appendMs = Number(result?.logAppendTime ?? -1)
  return { baseOffset: Number(result?.baseOffset), appendMs: appendMs < 0 ? null : appendMs }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

function withDeadline<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`no answer within ${CONNECT_DEADLINE_MS / 1000} s`)
    timer = setTimeout(() => reject(error), CONNECT_DEADLINE_MS)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

function sendFailure(topic: string, partition: number, cause: unknown): LensError {
  const message = `could not append to ${topic}-${partition}: ${(cause as Error).message}`
  return REFUSALS.has((cause as { type?: string }).type ?? '')
    ? new LensError('broker_unavailable', message, { cause })
    : new LensError('send_outcome_unknown', message, { retryable: true, cause })
}
