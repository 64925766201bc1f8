/** Three real brokers, each also a controller: what happens when the leader of a partition goes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { ended, signalGroup } from '../../infra/local/child.ts'
import { installPart, isInstalled } from '../../infra/local/install.ts'
import { kafka, kafkaNode, newClusterId } from '../../infra/local/kafka.ts'
import type { Part, Place } from '../../infra/local/part.ts'
import { HOST, pickPorts } from '../../infra/local/ports.ts'
import { endPart, startPart } from '../../infra/local/start-part.ts'
import { checkTools } from '../../infra/local/tools.ts'

export interface ClusterOfThree {
  readonly brokers: readonly string[]
  readonly kafka: Kafka
  /** A topic on all three, of which two must have a record before it is acknowledged. */
  newTopic(name: string, partitions: number): Promise<void>
  /** To node 0, 1 or 2; resolves when it is gone, at once for SIGSTOP and SIGCONT. */
  signal(node: number, signal: NodeJS.Signals): Promise<void>
  /** Starts a node that is gone, on its ports and data. */
  start(node: number): Promise<void>
  /** Resolves when every replica of the topic is in sync, and leaders are where they belong. */
  whole(topic: string): Promise<void>
  stop(): Promise<void>
}

const NODES = [0, 1, 2]

/** Three virtual machines on two cores take their time. */
const WHOLE_MS = 120_000
const WHOLE_PAUSE_MS = 100

function nodesOf(places: readonly Place[]): Part[] {
  const id = newClusterId()
  const voters = places.map(({ ports }, i) => `${i + 1}@${HOST}:${ports[1]}`).join(',')
  return places.map((_, i) =>
    kafkaNode(
      {
        'node.id': i + 1,
        'controller.quorum.voters': voters,
        'default.replication.factor': 3,
        'min.insync.replicas': 2,
        'offsets.topic.replication.factor': 3,
        'transaction.state.log.replication.factor': 3,
        'transaction.state.log.min.isr': 2,
        // A node that is back leads again soon: one more move of leaders in mid-send.
        'leader.imbalance.check.interval.seconds': 1,
        'leader.imbalance.per.broker.percentage': 0,
      },
      id,
    ),
  )
}

/** Starts them on free ports and a new folder. */
export async function startClusterOfThree(): Promise<ClusterOfThree> {
  const folder = mkdtempSync(join(tmpdir(), 'lens-three-'))
  const discard = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', discard)
  const java = await checkTools([kafka], isInstalled)
  const home = await installPart(kafka, () => {})
  const ports = await pickPorts(2 * NODES.length)
  const places = NODES.map((i) => {
    return { home, java, data: join(folder, String(i)), ports: ports.slice(2 * i, 2 * i + 2) }
  })
  const nodes = nodesOf(places)
  const startNode = (i: number) => startPart(nodes[i]!, places[i]!)
  const children = await Promise.all(NODES.map(startNode))
  const brokers = places.map((place) => `${HOST}:${place.ports[0]}`)
  const client = new Kafka({ brokers, clientId: 'lens-test', logLevel: logLevel.NOTHING })

  async function asked<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = client.admin()
    await admin.connect()
    return work(admin).finally(() => admin.disconnect())
  }

  async function isWhole(topic: string): Promise<boolean> {
    const { topics } = await asked((admin) => admin.fetchTopicMetadata({ topics: [topic] }))
    return topics[0]!.partitions.every(
      ({ isr, replicas, leader }) => isr.length === NODES.length && leader === replicas[0],
    )
  }

  return {
    brokers,
    kafka: client,
    async newTopic(name, numPartitions) {
      const topic = { topic: name, numPartitions, replicationFactor: NODES.length }
      await asked((admin) => admin.createTopics({ topics: [topic], waitForLeaders: true }))
    },
    async signal(node, signal) {
      signalGroup(children[node]!, signal)
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await ended(children[node]!)
    },
    async start(node) {
      children[node] = await startNode(node)
    },
    async whole(topic) {
      const deadline = Date.now() + WHOLE_MS
      while (!(await isWhole(topic).catch(() => false))) {
        if (Date.now() > deadline) throw new Error(`${topic} has not all its replicas in sync`)
        await sleep(WHOLE_PAUSE_MS)
      }
    },
    async stop() {
      await Promise.all(NODES.map((i) => endPart(nodes[i]!, places[i]!, children[i]!)))
      discard()
      process.off('exit', discard)
    },
  }
}
