/** The log of the simulation: each request of each process is a step, and can go wrong. */

import type { Bus, LogRecord, NewRecord } from '../../services/bus/port.ts'
import { LensError } from '../../services/core/errors.ts'
import { createSimGroup, type Faults, type SimGroup } from './sim-group.ts'
import type { Actor, World } from './world.ts'

/** What a run has seen, to tell whether it was worth anything. */
export type Seen = Record<string, number>

export interface SimBus {
  /** The bus as one process sees it. */
  of(actor: Actor): Bus
  readonly groups: ReadonlyMap<string, SimGroup>
  /** Appends at once, as somebody outside of the simulation. */
  append(topic: string, partition: number, records: readonly NewRecord[]): void
  records(topic: string, partition: number): readonly LogRecord[]
  /** Sets the clock of each partition's broker anew. */
  setClocks(): void
}

export interface SimBusParts {
  readonly world: World
  readonly faults: () => Faults
  readonly partitions: number
  /** How far the clock of a broker may be off, to either side. */
  readonly skewMs: number
  readonly seen: Seen
}

const UNKNOWN = new LensError('send_outcome_unknown', 'the reply is lost', { retryable: true })
const AWAY = new LensError('broker_unavailable', 'no answer', { retryable: true })

/** An empty log; every topic exists. */
export function createSimBus(around: SimBusParts): SimBus {
  const { world, faults, partitions, skewMs, seen } = around
  const logs = new Map<string, LogRecord[]>()
  const groups = new Map<string, SimGroup>()
  /** By how much the clock of a partition's broker is off. */
  const offMs = new Map<string, number>()
  const broker: Actor = { name: 'broker', state: 'running' }
  const count = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1
  }

  function logOf(topic: string, partition: number): LogRecord[] {
    const key = `${topic}-${partition}`
    let log = logs.get(key)
    if (!log) {
      log = []
      logs.set(key, log)
    }
    return log
  }

  function append(topic: string, partition: number, records: readonly NewRecord[]) {
    const log = logOf(topic, partition)
    const place = `${topic}-${partition}`
    if (!offMs.has(place)) offMs.set(place, world.upTo(2 * skewMs + 1) - skewMs)
    const appendMs = Math.floor(world.nowMs()) + offMs.get(place)!
    const baseOffset = log.length
    for (const { key, value } of records) {
      const bytes = { key: key === null ? null : Buffer.from(key), value: Buffer.from(value) }
      log.push({ offset: log.length, appendMs, ...bytes })
    }
    return { baseOffset, appendMs }
  }

  function appendOrNot(topic: string, partition: number, records: readonly NewRecord[]) {
    const { refused, replyLost, late, torn } = faults()
    if (world.chance(refused)) throw UNKNOWN
    if (world.chance(torn)) {
      count('torn_append')
      append(topic, partition, records.slice(0, world.upTo(records.length)))
      throw UNKNOWN
    }
    if (world.chance(late)) {
      count('late_append')
      const label = `late append ${topic}-${partition}`
      void world.step(broker, label, () => append(topic, partition, records), world.upTo(20_000))
      throw UNKNOWN
    }
    const landed = append(topic, partition, records)
    if (world.chance(replyLost)) {
      count('reply_lost')
      throw UNKNOWN
    }
    return landed
  }

  function groupOf(name: string): SimGroup {
    const parts = { world, faults, logOf, partitionsOf: () => partitions, seen: count }
    const group = groups.get(name) ?? createSimGroup(name, parts)
    groups.set(name, group)
    return group
  }

  function busOf(actor: Actor): Bus {
    function ask<T>(label: string, answer: () => T): Promise<T> {
      return world.step(actor, label, () => {
        if (world.chance(faults().refused)) throw AWAY
        return answer()
      })
    }
    return {
      async sink() {
        return {
          append(topic, partition, records) {
            const copy = records.map(({ key, value }) => ({ key, value: Buffer.from(value) }))
            const label = `append ${topic}-${partition} ${copy.length}`
            return world.step(actor, label, () => appendOrNot(topic, partition, copy))
          },
          close: async () => {},
        }
      },
      source: (group, topics) => groupOf(group).source(actor, topics),
      partitionCounts: async (topics) => Object.fromEntries(topics.map((t) => [t, partitions])),
      createTopics: async () => [],
      offsets: (topic) =>
        ask(`offsets ${topic}`, () =>
          Array.from({ length: partitions }, (_, p) => ({ first: 0, end: logOf(topic, p).length })),
        ),
      readAll: (topic, partition) =>
        ask(`read ${topic}-${partition}`, () => [...logOf(topic, partition)]),
      close: async () => {},
    }
  }

  return { of: busOf, groups, append, records: logOf, setClocks: () => offMs.clear() }
}
