import { CompressionTypes, type Kafka, type Producer } from 'kafkajs'
import { LensError } from '../core/errors.ts'
import type { Appended, NewRecord, Sink } from './port.ts'

/**
 * Two minutes of a broker that answers that it cannot, or that a patient client looks for. Who
 * gives a send up earlier must say so by its signal: kafkajs would append it later, behind what
 * was sent after it.
 */
const RETRY = { initialRetryTime: 100, maxRetryTime: 5_000, retries: 30 }
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

/** Fewer bytes at once are not worth it ([decision 12](../../docs/decisions/12-compression.md)). */
const COMPRESSED_BYTES_MIN = 4 * 1024

/** A producer, and what runs on it. */
interface Held {
  readonly producer: Promise<Producer>
  records: number
  appends: number
  /** Takes no new append; those that run go on. */
  retired: boolean
}

/**
 * An idempotent producer, acks from all replicas. After a surfaced error, and after `recordsMax`
 * records, a new one takes its place: what was under way may or may not be in the log. Once the
 * sink is closed, no attempt begins any more.
 */
export async function createKafkaSink(
  kafka: Kafka,
  recordsMax = RECORDS_PER_PRODUCER_MAX,
): Promise<Sink> {
  const held = new Set<Held>()
  let current: Held | null = null
  let closed = false
  await lend(0, async () => {})

  async function lend<T>(records: number, work: (producer: Producer) => Promise<T>): Promise<T> {
    if (current !== null && current.records + records > recordsMax) retire(current)
    current ??= hold()
    const one = current
    one.records += records
    one.appends += 1
    try {
      return await work(await one.producer)
    } catch (error) {
      retire(one)
      throw error
    } finally {
      one.appends -= 1
      await endIfUnused(one)
    }
  }

  function hold(): Held {
    const producer = connect(kafka)
    const one = { producer, records: 0, appends: 0, retired: false }
    held.add(one)
    return one
  }

  function retire(one: Held): void {
    one.retired = true
    if (current === one) current = null
    void endIfUnused(one)
  }

  /** Not before: the appends of others are not to be cut off. */
  async function endIfUnused(one: Held): Promise<void> {
    if (!one.retired || one.appends > 0) return
    held.delete(one)
    await disconnect(one)
  }

  return {
    async append(topic, partition, records, signal) {
      if (closed) throw new LensError('broker_unavailable', 'the sink is closed')
      const isGivenUp = () => closed || signal?.aborted === true
      const append = { topic, partition, records, isGivenUp }
      return lend(records.length, (producer) => send(producer, append))
    },
    async close() {
      closed = true
      await Promise.all([...held].map(disconnect))
    },
  }
}

async function disconnect({ producer }: Held): Promise<void> {
  await (await producer.catch(() => null))?.disconnect().catch(() => {})
}

async function connect(kafka: Kafka): Promise<Producer> {
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    retry: RETRY,
  })
  const connected = producer.connect()
  try {
    await withDeadline(connected)
  } catch (cause) {
    // One that comes to it later is nobody's.
    connected.then(() => producer.disconnect()).catch(() => {})
    const message = `the Kafka producer could not connect: ${(cause as Error).message}`
    throw new LensError('broker_unavailable', message, { retryable: true, cause })
  }
  return producer
}

interface Append {
  readonly topic: string
  readonly partition: number
  readonly records: readonly NewRecord[]
  readonly isGivenUp: () => boolean
}

async function send(
  producer: Producer,
  { topic, partition, records, isGivenUp }: Append,
): Promise<Appended> {
  const messages = records.map(({ key, value }) => ({
    key: key === null || typeof key === 'string' ? key : asBuffer(key),
    partition,
    // Read by every attempt when it encodes, after its wait for the broker's lock: the last moment
    // at which it can be refused.
    get value() {
      if (isGivenUp()) throw new Error('it was given up')
      return asBuffer(value)
    },
  }))
  const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
  const compression = bytes < COMPRESSED_BYTES_MIN ? CompressionTypes.None : CompressionTypes.ZSTD
  try {
    const [result] = await producer.send({ topic, messages, acks: -1, compression })
    const appendMs = Number(result?.logAppendTime ?? -1)
    return { baseOffset: Number(result?.baseOffset), appendMs: appendMs < 0 ? null : appendMs }
  } catch (cause) {
    throw sendFailure(topic, partition, cause)
  }
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
