import { LensError } from '../core/errors.ts'
import type { Commit } from '../core/processor.ts'
import { crashed, type Fault, type MemoryLog, type Step } from './memory.ts'
import type { Source, SourceHandlers, TopicPartition } from './port.ts'

/** One consumer group of the memory bus. */
export interface MemoryGroup {
  reads(topic: string): boolean
  /** The committed position of a partition, or the oldest record's offset. */
  position(topic: string, partition: number): number
  /** A source that joins when it runs. */
  member(topics: readonly string[], wake: () => void): Source
  /** Delivers one batch; false when there was none. */
  deliverOne(): Promise<boolean>
  rebalance(): void
  remove(source: Source): void
}

interface Member {
  readonly source: Source
  readonly topics: readonly string[]
  readonly handlers: SourceHandlers
  readonly owned: Map<string, TopicPartition & { next: number }>
  generation: number
}

interface Surroundings {
  readonly fault: (step: Step, topic: string, partition: number) => Fault
  readonly pick: (n: number) => number
  readonly logOf: (topic: string, partition: number) => MemoryLog
  readonly topics: ReadonlyMap<string, readonly MemoryLog[]>
}

const BATCH_RECORDS_MAX = 500

/** A group without members. */
export function createMemoryGroup({ fault, pick, logOf, topics }: Surroundings): MemoryGroup {
  const members: Member[] = []
  const committed = new Map<string, Commit>()
  let subscribed = new Set<string>()
  let generation = 0

  function rebalance(): void {
    generation++
    subscribed = new Set(members.flatMap((member) => member.topics))
    for (const member of members) {
      member.owned.clear()
      member.generation = generation
    }
    let turn = 0
    for (const topic of subscribed) {
      const able = members.filter((member) => member.topics.includes(topic))
      for (let partition = 0; partition < (topics.get(topic) ?? []).length; partition++) {
        const next = position(topic, partition)
        const owner = able[turn++ % able.length]!
        owner.owned.set(`${topic}-${partition}`, { topic, partition, next })
      }
    }
    for (const member of [...members]) member.handlers.assigned([...member.owned.values()])
  }

  function position(topic: string, partition: number): number {
    const { first } = logOf(topic, partition)
    return Math.max(first, committed.get(`${topic}-${partition}`)?.offset ?? first)
  }

  function remove(source: Source): void {
    const index = members.findIndex((member) => member.source === source)
    if (index < 0) return
    members.splice(index, 1)
    rebalance()
  }

  function memberOf(source: Source): Member | undefined {
    return members.find((member) => member.source === source)
  }

  function member(names: readonly string[], wake: () => void): Source {
    const source: Source = {
      async run(handlers) {
        members.push({ source, topics: names, handlers, owned: new Map(), generation })
        rebalance()
        wake()
      },
      committed: async (topic, partition) => committed.get(`${topic}-${partition}`) ?? null,
      seek(topic, partition, offset) {
        const owned = memberOf(source)?.owned.get(`${topic}-${partition}`)
        if (owned) owned.next = offset
        wake()
      },
      async commit(topic, partition, commit) {
        const key = `${topic}-${partition}`
        if (!memberOf(source)?.owned.has(key)) {
          throw new LensError('partition_lost', `${key} is not this member's: commit refused`)
        }
        if (fault('commit', topic, partition) === 'crash') throw crashed()
        committed.set(key, commit)
      },
      stop: async () => remove(source),
    }
    return source
  }

  async function deliver(to: Member, owned: TopicPartition & { next: number }): Promise<void> {
    const { topic, partition, next } = owned
    const { first, records } = logOf(topic, partition)
    const from = Math.max(next, first)
    const batch = records.slice(from - first, from - first + BATCH_RECORDS_MAX)
    const at = to.generation
    const isStale = () => at !== to.generation || owned.next !== next
    const outcome = fault('deliver', topic, partition)
    try {
      if (outcome === 'crash') throw crashed()
      const delivery = { heartbeat: async () => {}, isStale }
      await to.handlers.batch({ topic, partition, records: batch }, delivery)
    } catch (error) {
      remove(to.source)
      to.handlers.failed(error)
      return
    }
    if (!isStale() && outcome !== 'repeat') owned.next = from + batch.length
  }

  async function deliverOne(): Promise<boolean> {
    const ready = members.flatMap((member) =>
      [...member.owned.values()].flatMap((owned) => {
        const { first, records } = logOf(owned.topic, owned.partition)
        return owned.next < first + records.length ? [{ member, owned }] : []
      }),
    )
    if (ready.length === 0) return false
    const { member: to, owned } = ready[pick(ready.length)]!
    await deliver(to, owned)
    return true
  }

  return {
    reads: (topic) => subscribed.has(topic),
    position,
    member,
    deliverOne,
    rebalance,
    remove,
  }
}
