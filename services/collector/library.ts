import { TOPICS } from '../../schemas/topics.ts'
import { openPlatform } from '../bus/platform.ts'
import { requireTopics } from '../bus/topics.ts'
import { LensError } from '../core/errors.ts'
import { measuredFetch } from './measured-fetch.ts'
import { type ObserveOptions, observe } from './observe.ts'
import { createQueue, type Queue, type QueueStats } from './queue.ts'
import { openSpool } from './spool.ts'
import { ownSource, type Target } from './target.ts'

export interface LensOptions {
  /** Kafka bootstrap servers, host:port separated by commas. */
  readonly kafkaBrokers: string
  /** http://host:port of a Confluent-compatible schema registry. */
  readonly schemaRegistryUrl: string
  /** Labels of every record of this program; `source` is its host and process by default. */
  readonly labels: Omit<Target['labels'], 'request_id'>
  /** A folder of its own on a local disk, for records while Kafka is away. */
  readonly spool?: string
  readonly log?: (line: string) => void
}

/** The collector inside a program, in place of the proxy. */
export interface Lens {
  /** Measures the calls that it makes: also for clients that take a fetch. */
  readonly fetch: typeof fetch
  /** Yields the items of a stream unchanged, and measures them. */
  observe<T>(
    items: AsyncIterable<T>,
    options?: Omit<ObserveOptions<T>, 'labels'> & { readonly labels?: Partial<Target['labels']> },
  ): AsyncGenerator<T, void, undefined>
  /** What became of the records. */
  stats(): QueueStats
  /** Sends what is left. */
  close(): Promise<void>
}

const SPOOL_BYTES_MAX = 256 << 20

/**
 * Connects to Kafka. Throws LensError: configuration_invalid, registry_unavailable,
 * broker_unavailable, topic_missing.
 */
export async function openLens(options: LensOptions): Promise<Lens> {
  const { spool: folder, kafkaBrokers, log = () => {} } = options
  if (kafkaBrokers === '') {
    const instead = 'to get records without Kafka, give measuredFetch() or observe() an onRecord'
    throw new LensError('configuration_invalid', `kafkaBrokers is empty; ${instead}`)
  }
  const { bus, codec } = await openPlatform(options, 'lens-library', log)

  async function openQueue(): Promise<Queue> {
    await requireTopics(bus)
    const partitions = await bus.partitionCounts(TOPICS.map((topic) => topic.name))
    const spool = folder ? openSpool({ folder, bytesMax: SPOOL_BYTES_MAX, log }) : undefined
    const { encode } = codec
    return createQueue({ sink: () => bus.sink(true), encode, partitions, spool, log })
  }

  const queue = await openQueue().catch(async (error: unknown) => {
    await bus.close()
    throw error
  })
  const labels = { source: ownSource(), ...options.labels }
  return {
    fetch: measuredFetch({ labels, queue }),
    observe: (items, more) =>
      observe(items, { ...more, queue, labels: { ...labels, ...more?.labels } }),
    stats: queue.stats,
    async close() {
      await queue.close()
      await bus.close()
    },
  }
}
