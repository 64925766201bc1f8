/** What broker tests do to a cluster, with kafkajs and the registry's own client: not our bus. */
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import '../../services/bus/kafkajs-patch.ts'
import { TOPICS } from '../../schemas/topics.ts'
import { createCodec } from '../../services/bus/codec.ts'
import { createKafkaBus } from '../../services/bus/kafka.ts'
import { createConfluentRegistry } from '../../services/bus/registry.ts'
import { createTopics } from '../../services/bus/topics.ts'

export interface Cluster {
  readonly kafka: Kafka
  readonly admin: Admin
  readonly bus: ReturnType<typeof createKafkaBus>
  readonly codec: Awaited<ReturnType<typeof createCodec>>
  /** All records that a topic holds now, decoded by the registry's client; bad ones left out. */
  readTopic<T>(topic: string): Promise<T[]>
  /** Records of a topic now. */
  count(topic: string): Promise<number>
  close(): Promise<void>
}

/** Connects, and makes the topics of the system anew with the given number of partitions. */
export async function openCluster(
  env: Readonly<Record<string, string>>,
  partitions: number,
): Promise<Cluster> {
  const brokers = env.KAFKA_BROKERS!.split(',')
  const kafka = new Kafka({ brokers, clientId: 'lens-test', logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await removeTopics(
    admin,
    TOPICS.map((topic) => topic.name),
  )
  await removeGroups(admin)
  const bus = createKafkaBus({ brokers, clientId: 'lens-test', log: () => {} })
  const codec = await createCodec(createConfluentRegistry(env.SCHEMA_REGISTRY_URL!), Date.now)
  await createTopics(bus, { partitions, replication: 1 })
  const registry = new SchemaRegistry({ host: env.SCHEMA_REGISTRY_URL! })

  async function readTopic<T>(topic: string): Promise<T[]> {
    const all: T[] = []
    for (let partition = 0; partition < partitions; partition++) {
      for (const { value } of await bus.readAll(topic, partition)) {
        const decoded = await registry.decode(value as Buffer).catch(() => null)
        if (decoded !== null) all.push(decoded as T)
      }
    }
    return all
  }

  return {
    kafka,
    admin,
    bus,
    codec,
    readTopic,
    async count(topic) {
      const ranges = await bus.offsets(topic)
      return ranges.reduce((sum, { first, end }) => sum + end - first, 0)
    },
    async close() {
      await bus.close()
      await admin.disconnect()
    },
  }
}

/** Deletes topics, and waits until they are gone. */
export async function removeTopics(admin: Admin, names: readonly string[]): Promise<void> {
  const wanted = new Set(names)
  const there = (await admin.listTopics()).filter((name) => wanted.has(name))
  if (there.length > 0) await admin.deleteTopics({ topics: there })
  while ((await admin.listTopics()).some((name) => wanted.has(name))) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Deletes the groups of the services, none of which may have a member. */
export async function removeGroups(admin: Admin): Promise<void> {
  const groups = (await admin.listGroups()).groups.map(({ groupId }) => groupId)
  const ours = groups.filter((groupId) => groupId.startsWith('lens-'))
  if (ours.length > 0) await admin.deleteGroups(ours)
}
