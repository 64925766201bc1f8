/** Watches what each group has committed, to tell how long it took to go on after a fault. */
import type { Admin } from 'kafkajs'

const EVERY_MS = 400

/** What one look has shown, by topic and partition. */
export interface Sample {
  /** What it shows was so at some time between these. */
  readonly beganMs: number
  readonly endedMs: number
  readonly committed: ReadonlyMap<string, number>
  readonly ends: ReadonlyMap<string, number>
}

/** From `sinceMs` it took `ms`; Infinity when it never came. */
export interface Recovery {
  readonly sinceMs: number
  readonly ms: number
}

export interface Progress {
  /** Records that a group had not committed at the last look. */
  backlog(group: string): number
  /** As recoveryOf() has it. */
  recovery(group: string, atMs: number, partitions?: ReadonlySet<string>): Recovery | null
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

  return {
    backlog(group) {
      const last = samples.get(group)!.at(-1)
      if (!last) return 0
      return behind(last).reduce(
        (sum, key) => sum + last.ends.get(key)! - (last.committed.get(key) ?? 0),
        0,
      )
    },
    recovery: (group, atMs, partitions) => recoveryOf(samples.get(group)!, atMs, partitions),
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

function behind({ ends, committed }: Sample): string[] {
  return [...ends].filter(([key, end]) => end > (committed.get(key) ?? 0)).map(([key]) => key)
}

/**
 * From `atMs`, or from when work first came to one of these partitions, until every one that then
 * had a backlog was committed further; Infinity when a backlog stayed, null when no work came.
 */
export function recoveryOf(
  samples: readonly Sample[],
  atMs: number,
  partitions?: ReadonlySet<string>,
): Recovery | null {
  const isOwn = (key: string) => partitions?.has(key) ?? true
  // Not the last one before: what was committed since would pass for a recovery.
  const from = samples.findIndex((sample) => sample.beganMs >= atMs && behind(sample).some(isOwn))
  if (from < 0) return null
  const first = samples[from]!
  const late = behind(first).filter(isOwn)
  const isFurther = ({ committed }: Sample) =>
    late.every((key) => (committed.get(key) ?? 0) > (first.committed.get(key) ?? 0))
  const after = samples.slice(from).find(isFurther)
  // The work came at some time since the look before.
  const sinceMs = Math.max(atMs, samples[from - 1]?.beganMs ?? atMs)
  return { sinceMs, ms: after ? after.endedMs - sinceMs : Number.POSITIVE_INFINITY }
}
