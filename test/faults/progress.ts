/** Watches what each group has committed, to tell how long it took to go on after a fault. */
import type { Admin } from 'kafkajs'

const EVERY_MS = 400

interface Sample {
  /** What it shows was so at some time between these. */
  readonly beganMs: number
  readonly endedMs: number
  readonly committed: ReadonlyMap<string, number>
  readonly ends: ReadonlyMap<string, number>
}

export interface Progress {
  /** Records that a group had not committed at the last look. */
  backlog(group: string): number
  /**
   * From `atMs` until every one of these partitions that then had a backlog was committed further,
   * or the first of them when none had; Infinity when a backlog stayed, null when no work came.
   */
  recoveryMs(group: string, atMs: number, partitions?: ReadonlySet<string>): number | null
  /** Whether all that was there at `atMs` has been committed. */
  hasPassed(group: string, atMs: number): boolean
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
    const beganMs = Date.now()
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
    return { beganMs, endedMs: Date.now(), committed, ends }
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
    recoveryMs(group, atMs, partitions) {
      const all = samples.get(group)!
      // Not the last one before: what was committed since would pass for a recovery.
      const from = all.findIndex(({ beganMs }) => beganMs >= atMs)
      if (from < 0) return null
      const first = all[from]!
      const keys = [...first.ends.keys()].filter((key) => partitions?.has(key) ?? true)
      const late = behind(first).filter((key) => keys.includes(key))
      const after = all.slice(from).find(({ committed }) => {
        const isFurther = (key: string) =>
          (committed.get(key) ?? 0) > (first.committed.get(key) ?? 0)
        return late.length > 0 ? late.every(isFurther) : keys.some(isFurther)
      })
      if (after) return after.endedMs - atMs
      return late.length > 0 ? Number.POSITIVE_INFINITY : null
    },
    hasPassed(group, atMs) {
      const all = samples.get(group)!
      const ends = all.find(({ beganMs }) => beganMs >= atMs)?.ends
      const committed = all.at(-1)?.committed
      return [...(ends ?? [])].every(([key, end]) => (committed?.get(key) ?? 0) >= end) && !!ends
    },
    async stop() {
      stopped = true
      await watching
    },
  }
}
