/** Watches what each group has committed, to tell how long it took to go on after a fault. */
import type { Admin } from 'kafkajs'

const EVERY_MS = 400

interface Sample {
  readonly atMs: number
  readonly committed: ReadonlyMap<string, number>
  readonly ends: ReadonlyMap<string, number>
}

export interface Progress {
  /** Records that a group had not committed at the last look. */
  backlog(group: string): number
  /**
   * From `atMs` until every partition that then had a backlog was committed further; null when it
   * had none, Infinity when it never was.
   */
  recoveryMs(group: string, atMs: number): number | null
  stop(): Promise<void>
}

/** Looks at these groups and their topics a few times a second. */
export function watchProgress(
  admin: Admin,
  groups: Readonly<Record<string, readonly string[]>>,
): Progress {
  const samples = new Map<string, Sample[]>(Object.keys(groups).map((group) => [group, []]))
  let stopped = false
  const watching = watch()

  async function watch(): Promise<void> {
    while (!stopped) {
      for (const [group, topics] of Object.entries(groups)) {
        // The broker may be away: then there is no sample.
        const sample = await look(group, topics).catch(() => null)
        if (sample) samples.get(group)!.push(sample)
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
    }
  }

  async function look(group: string, topics: readonly string[]): Promise<Sample> {
    const committed = new Map<string, number>()
    const ends = new Map<string, number>()
    for (const topic of topics) {
      for (const { partition, high } of await admin.fetchTopicOffsets(topic)) {
        ends.set(`${topic}-${partition}`, Number(high))
      }
    }
    for (const { topic, partitions } of await admin.fetchOffsets({ groupId: group })) {
      for (const { partition, offset } of partitions) {
        committed.set(`${topic}-${partition}`, Math.max(0, Number(offset)))
      }
    }
    return { atMs: Date.now(), committed, ends }
  }

  const behind = ({ ends, committed }: Sample) =>
    [...ends].filter(([key, end]) => end > (committed.get(key) ?? 0)).map(([key]) => key)

  return {
    backlog(group) {
      const last = samples.get(group)!.at(-1)
      if (!last) return 0
      return behind(last).reduce(
        (sum, key) => sum + last.ends.get(key)! - (last.committed.get(key) ?? 0),
        0,
      )
    },
    recoveryMs(group, atMs) {
      const all = samples.get(group)!
      const before = all.findLast((sample) => sample.atMs <= atMs)
      const keys = before ? behind(before) : []
      if (keys.length === 0) return null
      const after = all.find(
        (sample) =>
          sample.atMs > atMs &&
          keys.every((key) => sample.committed.get(key)! > (before!.committed.get(key) ?? 0)),
      )
      return after ? after.atMs - atMs : Number.POSITIVE_INFINITY
    },
    async stop() {
      stopped = true
      await watching
    },
  }
}
