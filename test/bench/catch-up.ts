/** How fast a consumer group works off what lies in a topic, by what it commits. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'

const LOOK_MS = 50
const DEADLINE_MS = 600_000

/** Records of a topic that the group has committed. */
export async function committed(admin: Admin, group: string, topic: string): Promise<number> {
  const [row] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  const offsets = row?.partitions.map(({ offset }) => Math.max(0, Number(offset))) ?? []
  return offsets.reduce((sum, offset) => sum + offset, 0)
}

/** The first look at which the group had committed so many records of the topic. */
export async function reached(
  admin: Admin,
  group: string,
  topic: string,
  records: number,
): Promise<{ readonly records: number; readonly atMs: number }> {
  const done = await waitFor(async () => {
    const now = await committed(admin, group, topic)
    return now >= records ? now : null
  }, `${group} commits ${records} of ${topic}`)
  return { records: done, atMs: performance.now() }
}

/** Resolves when the group has committed what is in the topic now, up to so many records. */
export async function caughtUp(
  admin: Admin,
  group: string,
  topic: string,
  slack: number,
): Promise<void> {
  const ends = await admin.fetchTopicOffsets(topic)
  const end = ends.reduce((sum, { high }) => sum + Number(high), 0)
  const isThere = async () => ((await committed(admin, group, topic)) >= end - slack ? true : null)
  await waitFor(isThere, `${group} catches up with ${topic}`)
}

async function waitFor<T>(look: () => Promise<T | null>, what: string): Promise<T> {
  const deadlineMs = performance.now() + DEADLINE_MS
  while (performance.now() < deadlineMs) {
    const seen = await look()
    if (seen !== null) return seen
    await sleep(LOOK_MS)
  }
  throw new Error(`not within ${DEADLINE_MS / 1000} s: ${what}`)
}
