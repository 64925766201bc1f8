import { TOPICS, type Topic } from '../../schemas/topics.ts'
import { LensError } from '../core/errors.ts'
import type { Bus, TopicSpec } from './port.ts'

/** How the topics are laid out on the brokers. */
export interface TopicLayout {
  readonly partitions: number
  readonly replication: number
}

/** The request that makes one row of the table. */
export function topicSpec(topic: Topic, { partitions, replication }: TopicLayout): TopicSpec {
  const settings: Record<string, string> = {
    'cleanup.policy': topic.cleanup,
    'message.timestamp.type': topic.timestamps,
    'max.message.bytes': String(topic.messageBytesMax),
    // Others' clocks may be anything; windows look at event times, not at these.
    ...(topic.timestamps === 'CreateTime' ? { 'message.timestamp.after.max.ms': LONG_MAX } : {}),
    ...(topic.cleanup === 'delete' ? { 'retention.ms': String(topic.retentionMs) } : {}),
  }
  return { name: topic.name, partitions, replication, settings }
}

const LONG_MAX = '9223372036854775807'

/** Creates the missing topics of the table; returns their names. */
export function createTopics(bus: Bus, layout: TopicLayout): Promise<readonly string[]> {
  return bus.createTopics(TOPICS.map((topic) => topicSpec(topic, layout)))
}

/** Throws LensError topic_missing when a topic is not there: automatic creation stays off. */
export async function requireTopics(bus: Bus): Promise<void> {
  const counts = await bus.partitionCounts(TOPICS.map((topic) => topic.name))
  const missing = TOPICS.filter((topic) => !(topic.name in counts)).map((topic) => topic.name)
  if (missing.length === 0) return
  const message = `topics are missing: ${missing.join(', ')}; create them with: npm run lens -- topics`
  throw new LensError('topic_missing', message)
}
