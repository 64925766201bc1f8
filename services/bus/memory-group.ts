import { LensError } from '../core/errors.ts'
import type { Commit } from '../core/processor.ts'
import { crashed, type Fault, type Step } from './memory-fault.ts'
import type { LogRecord, Source, SourceHandlers, TopicPartition } from './port.ts'

/** The records of one partition; the oldest may have been dropped. */
export interface MemoryLog {
  first: number
  readonly records: LogRecord[]
  /** Of all keys and values. */
  bytes: number
}

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
  readonly owned: Map<string, Owned>
  generation: number
  /** The handler that runs now. */
  running: Promise<void>
}

interface Owned extends TopicPartition {
  next: number
  /** Counted, since a seek to where one is also overtakes the batch under way. */
  seeks: number
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
        owner.owned.set(`${topic}-${partition}`, { topic, partition, next, seeks: 0 })
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
        const running = Promise.resolve()
        members.push({ source, topics: names, handlers, owned: new Map(), generation, running })
        rebalance()
        wake()
      },
      committed: async (topic, partition) => committed.get(`${topic}-${partition}`) ?? null,
      seek(topic, partition, offset) {
        const owned = memberOf(source)?.owned.get(`${topic}-${partition}`)
        if (owned) {
          owned.next = offset
          owned.seeks++
        }
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
      async stop() {
        await memberOf(source)?.running
        remove(source)
      },
    }
    return source
  }

  async function deliver(to: Member, owned: Owned): Promise<void> {
    const { topic, partition, next, seeks } = owned
    const { first, records } = logOf(topic, partition)
    const from = Math.max(next, first)
    const batch = records.slice(from - first, from - first + BATCH_RECORDS_MAX)
    const at = to.generation
    const isStale = () => at !== to.generation || owned.seeks !== seeks
    const outcome = fault('deliver', topic, partition)
    try {
      if (outcome === 'crash') throw crashed()
      const delivery = { heartbeat: async () => {}, isStale }
      const end = from + batch.length
      const handling = to.handlers.batch({ topic, partition, from, end, records: batch }, delivery)
      to.running = handling.catch(() => {})
      await handling
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
