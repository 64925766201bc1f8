/** A consumer group of the simulation: several members, each with its batches under way at once. */

import type { LogRecord, Source, SourceHandlers, TopicPartition } from '../../services/bus/port.ts'
import { LensError } from '../../services/core/errors.ts'
import type { Commit } from '../../services/core/processor.ts'
import type { Actor, World } from './world.ts'

interface Owned extends TopicPartition {
  next: number
  seeks: number
  busy: boolean
}

interface Member {
  readonly actor: Actor
  readonly handlers: SourceHandlers
  owned: Map<string, Owned>
}

/** What can go wrong with a request, as shares. */
export interface Faults {
  /** Not carried out, and said so. */
  readonly refused: number
  /** Carried out, but the reply is lost. */
  readonly replyLost: number
  /** Carried out some time after it was given up. */
  readonly late: number
  /** Carried out in part, and said to be unknown: a range of slices can be several appends. */
  readonly torn: number
  /** A batch that was delivered before, or fetched before a seek. */
  readonly stale: number
  /** A sink that takes its time to answer. */
  readonly slow: number
}

export interface SimGroup {
  source(actor: Actor, topics: readonly string[]): Source
  /** Starts to deliver one batch to somebody; false when there is none. */
  deliver(): boolean
  /** Members that do not answer lose their partitions. */
  rebalance(): void
  /** A member that was given up, and runs, finds out. */
  rejoin(): void
  committed: ReadonlyMap<string, Commit>
}

export interface GroupParts {
  readonly world: World
  readonly faults: () => Faults
  readonly logOf: (topic: string, partition: number) => readonly LogRecord[]
  readonly partitionsOf: (topic: string) => number
  readonly seen: (what: 'replayed' | 'rebalance' | 'commit_refused') => void
}

const BATCH_MAX = 60
const AWAY = new LensError('broker_unavailable', 'no answer', { retryable: true })

/** A group without members. */
export function createSimGroup(name: string, parts: GroupParts): SimGroup {
  const { world, faults, logOf } = parts
  let members: Member[] = []
  const away: Member[] = []
  const topics = new Set<string>()
  const committed = new Map<string, Commit>()

  function rebalance(): void {
    away.push(...members.filter(({ actor }) => actor.state === 'paused'))
    members = members.filter(({ actor }) => actor.state === 'running')
    world.note(`${name}: rebalance of ${members.map(({ actor }) => actor.name).join(' ')}`)
    parts.seen('rebalance')
    for (const member of [...members, ...away]) member.owned = new Map()
    if (members.length === 0) return
    let turn = world.upTo(members.length)
    for (const topic of topics) {
      for (let partition = 0; partition < parts.partitionsOf(topic); partition++) {
        const key = `${topic}-${partition}`
        const next = committed.get(key)?.offset ?? 0
        const owned = { topic, partition, next, seeks: 0, busy: false }
        members[turn++ % members.length]!.owned.set(key, owned)
      }
    }
    for (const member of [...members]) member.handlers.assigned([...member.owned.values()])
  }

  function deliverTo(member: Member, owned: Owned): void {
    const { topic, partition, seeks } = owned
    const from = world.chance(faults().stale)
      ? world.upTo(logOf(topic, partition).length)
      : owned.next
    const records = logOf(topic, partition).slice(from, from + 1 + world.upTo(BATCH_MAX))
    const end = from + records.length
    world.note(`${member.actor.name}: given ${topic}-${partition} ${from} to ${end}`)
    const isStale = () =>
      member.owned.get(`${topic}-${partition}`) !== owned || owned.seeks !== seeks
    async function heartbeat(): Promise<void> {
      if (!isStale() || owned.seeks !== seeks) return
      throw Object.assign(new Error('another generation'), { type: 'ILLEGAL_GENERATION' })
    }
    owned.busy = true
    const batch = { topic, partition, from, end, records }
    const handling = member.handlers.batch(batch, { heartbeat, isStale })
    handling.then(
      () => {
        owned.busy = false
        if (!isStale()) owned.next = end
      },
      (error) => {
        if (member.actor.state !== 'dead') member.handlers.failed(error)
      },
    )
  }

  function ownedBy(actor: Actor, key: string): Owned | undefined {
    return members.find((member) => member.actor === actor)?.owned.get(key)
  }

  /** `owned` is the member's at the time of its request, which says of which generation it is. */
  function commitNow(actor: Actor, key: string, owned: Owned | undefined, commit: Commit): void {
    if (!owned || ownedBy(actor, key) !== owned) {
      parts.seen('commit_refused')
      throw new LensError('partition_lost', `${key} is not this member's`)
    }
    if (commit.metadata.length > 4_096) throw new Error('metadata of more than 4,096 bytes')
    committed.set(key, commit)
  }

  return {
    committed,
    rebalance,
    rejoin() {
      const back = away.filter(({ actor }) => actor.state === 'running')
      if (back.length === 0) return
      for (const member of back) away.splice(away.indexOf(member), 1)
      members.push(...back)
      rebalance()
    },
    deliver() {
      const able = members
        .filter(({ actor }) => actor.state === 'running')
        .flatMap((member) => [...member.owned.values()].map((owned) => ({ member, owned })))
        .filter(({ owned: { topic, partition, next, busy } }) => {
          return !busy && next < logOf(topic, partition).length
        })
      if (able.length === 0) return false
      const { member, owned } = able[world.upTo(able.length)]!
      deliverTo(member, owned)
      return true
    },
    source: (actor, names) => ({
      async run(handlers) {
        for (const topic of names) topics.add(topic)
        await world.step(actor, `join ${name}`, () => {
          members.push({ actor, handlers, owned: new Map() })
          rebalance()
        })
      },
      committed: (topic, partition) =>
        world.step(actor, `committed ${topic}-${partition}`, () => {
          if (world.chance(faults().refused)) throw AWAY
          return committed.get(`${topic}-${partition}`) ?? null
        }),
      seek(topic, partition, offset) {
        const owned = ownedBy(actor, `${topic}-${partition}`)
        if (!owned) return
        parts.seen('replayed')
        owned.next = offset
        owned.seeks++
      },
      commit(topic, partition, commit) {
        const key = `${topic}-${partition}`
        const owned = ownedBy(actor, key)
        return world.step(actor, `commit ${key} ${commit.offset} ${commit.metadata}`, () => {
          const { refused, replyLost } = faults()
          if (world.chance(refused)) throw AWAY
          commitNow(actor, key, owned, commit)
          if (world.chance(replyLost)) throw AWAY
        })
      },
      async stop() {
        await world.step(actor, `leave ${name}`, () => {
          members = members.filter((member) => member.actor !== actor)
          rebalance()
        })
      },
    }),
  }
}
