/** A real broker and registry for a bench, and the two sides that work off one topic. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startStack } from '../../infra/local/stack.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { type Cluster, openCluster, removeGroups, removeTopics } from '../broker/cluster.ts'
import { startService } from '../broker/processes.ts'
import { type PeerOptions, startPeer } from './kafka-streams/peer.ts'
import { type PrefillOptions, prefill } from './prefill.ts'

export const STREAMS_SLICES = 'bench.slices'
const STREAMS_TOPICS = [STREAMS_SLICES, 'bench.results']

export interface Servers {
  readonly env: Readonly<Record<string, string>>
  readonly folder: string
  stop(): Promise<void>
}

/** Starts them on data of their own. */
export async function startServers(log: (line: string) => void): Promise<Servers> {
  const folder = mkdtempSync(join(tmpdir(), 'lens-bench-'))
  const stack = await startStack({ parts: ['kafka', 'registry'], dataFolder: folder, log })
  return {
    env: stack.env,
    folder,
    async stop() {
      await stack.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Our topics made anew, and the raw one filled. */
export async function filledCluster(
  { env }: Servers,
  options: PrefillOptions,
): Promise<{ readonly cluster: Cluster; readonly chunks: number; readonly bytes: number }> {
  const cluster = await openCluster(env, options.partitions)
  return { cluster, ...(await prefill(cluster, env.KAFKA_BROKERS!, options)) }
}

/** Starts services as new members of groups that have committed nothing. */
export async function startOurs(
  { env }: Servers,
  { admin }: Cluster,
  services: readonly string[],
): Promise<() => Promise<void>> {
  await removeGroups(admin)
  const running = await Promise.all(services.map((name) => startService(name, env)))
  return async () => {
    for (const each of running) await each.end('SIGTERM')
  }
}

let applications = 0

/** Starts Kafka Streams as an application that has done nothing yet. */
export async function startStreams(
  { env, folder }: Servers,
  { admin }: Cluster,
  form: PeerOptions['form'],
  threads: number,
  log: (line: string) => void,
): Promise<{ readonly group: string; readonly stop: () => Promise<void> }> {
  await removeTopics(admin, STREAMS_TOPICS)
  const numPartitions = (await admin.fetchTopicOffsets(TOKEN_EVENTS)).length
  const topics = STREAMS_TOPICS.map((topic) => ({ topic, numPartitions }))
  await admin.createTopics({ topics, waitForLeaders: false })
  const group = `bench-${process.pid}-${++applications}`
  const options = {
    ...{ brokers: env.KAFKA_BROKERS!, application: group, form, threads },
    stateFolder: join(folder, group),
  }
  const { stop } = await startPeer(options, log)
  return { group, stop }
}
