/** Three mock brokers: what one real broker can never show (research/kafka-clients.md F1, F2). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { Kafka, logLevel } from 'kafkajs'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import { pythonWith } from '../services/formats/python.ts'
import { fresh } from './bus-under-test.ts'

/** The one that the compression tests use, so that one folder serves both. */
const CONFLUENT_KAFKA = 'confluent-kafka==2.16.1'
const PRODUCE = 0

/** Errors of the protocol, by the name that kafkajs gives them. */
export const ERRORS = {
  NONE: 0,
  NOT_LEADER_FOR_PARTITION: 6,
  REQUEST_TIMED_OUT: 7,
  MESSAGE_TOO_LARGE: 10,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
} as const

export interface MockCluster {
  /** Two partitions: broker 1 leads 0, broker 2 leads 1. */
  readonly topic: string
  readonly kafka: Kafka
  /** What the broker answers to its next produce request, and how late. */
  next(broker: 1 | 2, error: keyof typeof ERRORS, delayMs?: number): Promise<void>
  /** Texts of all records of a partition. */
  read(partition: number): Promise<string[]>
  close(): Promise<void>
}

/** A new cluster without a record; it is there in milliseconds. */
export async function startMockCluster(): Promise<MockCluster> {
  const topic = fresh('mock')
  const python = await pythonWith([CONFLUENT_KAFKA])
  const script = new URL('./mock_kafka.py', import.meta.url).pathname
  const child = spawn(python, [script, topic], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const said = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the mock brokers have ended')
    return value
  }
  const brokers = (await said()).split(',')
  const kafka = new Kafka({ brokers, clientId: 'lens-test', logLevel: logLevel.NOTHING })
  const bus = createKafkaBus({ brokers, clientId: 'lens-test', log: () => {} })
  const restore = pointControllerAt('1')
  return {
    topic,
    kafka,
    async next(broker, error, delayMs = 0) {
      child.stdin.write(`${broker} ${PRODUCE} ${ERRORS[error]} ${delayMs}\n`)
      await said()
    },
    async read(partition) {
      const records = await bus.readAll(topic, partition)
      return records.map(({ value }) => String(value))
    },
    async close() {
      restore()
      await bus.close()
      const ended = once(child, 'exit')
      child.stdin.end()
      await ended
    },
  }
}

/** The mock names no controller, which kafkajs asks for the id of an idempotent producer. */
function pointControllerAt(nodeId: string): () => void {
  interface Cluster {
    findBroker(options: { nodeId: string }): unknown
    findControllerBroker(): unknown
  }
  const require = createRequire(import.meta.url)
  const { prototype } = require('kafkajs/src/cluster/index') as { prototype: Cluster }
  const { findControllerBroker } = prototype
  prototype.findControllerBroker = function (this: Cluster) {
    return this.findBroker({ nodeId })
  }
  return () => {
    prototype.findControllerBroker = findControllerBroker
  }
}
