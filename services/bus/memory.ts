import { LensError } from '../core/errors.ts'
import type { Clock } from './clock.ts'
import { crashed, type Fault, type Step } from './memory-fault.ts'
import { createMemoryGroup, type MemoryGroup, type MemoryLog } from './memory-group.ts'
import type { Bus, LogRecord, NewRecord, Source, TopicSpec } from './port.ts'

export interface MemoryBusOptions {
  readonly clock: Clock
  /** Decides at each step; a seeded function makes a run repeatable. */
  readonly fault?: (step: Step, topic: string, partition: number) => Fault
  /** Which of n deliverable partitions is served next; the first when left out. */
  readonly pick?: (n: number) => number
  /** Deliver by itself (a running process) or only in settle() (a test). */
  readonly automatic: boolean
  /** Records per partition that are kept although every group has committed past them. */
  readonly keepRecords?: number
  /** Bytes that a partition holds; beyond them the oldest go, read or not, as Kafka's would. */
  readonly bytesMax?: number
  /** Where offsets begin: files in a lake are named by them and outlive the process. */
  readonly firstOffset?: number
}

/** A partitioned, ordered log with consumer groups in one process. */
export interface MemoryBus extends Bus {
  /** Delivers until no group has anything left to read and no handler runs. */
  settle(): Promise<void>
  /** Takes a member out as a crash would: no drain, no commit. Its calls fail from now on. */
  crash(source: Source): void
  /** Gives every group a new assignment. */
  rebalance(): void
}

const KEEP_RECORDS = 20_000
const BYTES_MAX = 64 * 1024 * 1024

/** What is left of a partition that was too large, so that not each append moves the rest. */
const KEPT_SHARE = 3 / 4

/** An empty bus. */
export function createMemoryBus(options: MemoryBusOptions): MemoryBus {
  const { clock, automatic, keepRecords = KEEP_RECORDS, firstOffset = 0 } = options
  const { bytesMax = BYTES_MAX } = options
  const fault = options.fault ?? (() => 'go')
  const topics = new Map<string, MemoryLog[]>()
  const groups = new Map<string, MemoryGroup>()
  let delivering: Promise<void> | null = null
  // Something may be waiting that the running delivery has already looked past.
  let appended = false

  function logOf(topic: string, partition: number): MemoryLog {
    const log = topics.get(topic)?.[partition]
    if (!log) throw new LensError('topic_missing', `no partition ${topic}-${partition} on the bus`)
    return log
  }

  function append(topic: string, partition: number, records: readonly NewRecord[]) {
    const log = logOf(topic, partition)
    const appendMs = clock.nowMs()
    const baseOffset = log.first + log.records.length
    records.forEach(({ key, value }, i) => {
      const record = {
        offset: baseOffset + i,
        appendMs,
        key: key === null ? null : Buffer.from(key),
        // The log's own: a producer may use its buffer again.
        value: Buffer.from(value),
      }
      log.records.push(record)
      log.bytes += sizeOf(record)
    })
    trim(topic, partition, log)
    return { baseOffset, appendMs }
  }

  /** Forgets what every group has committed past, beyond the newest, and what is too much. */
  function trim(topic: string, partition: number, log: MemoryLog): void {
    if (log.records.length >= 2 * keepRecords) dropBefore(log, neededOf(topic, partition, log))
    if (log.bytes <= bytesMax) return
    let left = log.bytes
    const kept = log.records.find((record) => {
      if (left <= bytesMax * KEPT_SHARE) return true
      left -= sizeOf(record)
      return false
    })
    dropBefore(log, kept?.offset ?? log.first + log.records.length)
  }

  function neededOf(topic: string, partition: number, log: MemoryLog): number {
    let needed = log.first + log.records.length - keepRecords
    for (const group of groups.values()) {
      if (group.reads(topic)) needed = Math.min(needed, group.position(topic, partition))
    }
    return needed
  }

  async function deliverAll(): Promise<void> {
    for (let busy = true; busy; ) {
      busy = false
      for (const group of [...groups.values()]) busy = (await group.deliverOne()) || busy
    }
  }

  async function run(): Promise<void> {
    try {
      while (appended) {
        appended = false
        await deliverAll()
      }
    } finally {
      delivering = null
    }
  }

  function settle(): Promise<void> {
    appended = true
    delivering ??= run()
    return delivering
  }

  function wake(): void {
    appended = true
    if (automatic && delivering === null) delivering = Promise.resolve().then(run)
  }

  return {
    settle,
    rebalance() {
      for (const group of groups.values()) group.rebalance()
    },
    crash(source) {
      for (const group of groups.values()) group.remove(source)
    },
    async sink() {
      let closed = false
      return {
        async append(topic, partition, records) {
          if (closed) throw new LensError('broker_unavailable', 'the sink is closed')
          if (fault('append', topic, partition) === 'crash') throw crashed()
          const landed = append(topic, partition, records)
          wake()
          if (fault('appended', topic, partition) === 'crash') throw crashed()
          return landed
        },
        async close() {
          closed = true
        },
      }
    },
    source(name, names) {
      const pick = options.pick ?? (() => 0)
      const group = groups.get(name) ?? createMemoryGroup({ fault, pick, logOf, topics })
      groups.set(name, group)
      return group.member(names, wake)
    },
    async partitionCounts(names) {
      const known = names.filter((name) => topics.has(name))
      return Object.fromEntries(known.map((name) => [name, topics.get(name)!.length]))
    },
    async createTopics(specs: readonly TopicSpec[]) {
      const fresh = specs.filter((spec) => !topics.has(spec.name))
      for (const { name, partitions } of fresh) {
        topics.set(
          name,
          Array.from({ length: partitions }, () => ({ first: firstOffset, records: [], bytes: 0 })),
        )
      }
      return fresh.map((spec) => spec.name)
    },
    async offsets(topic) {
      const logs = topics.get(topic) ?? []
      return logs.map(({ first, records }) => ({ first, end: first + records.length }))
    },
    readAll: async (topic, partition) => [...logOf(topic, partition).records],
    async close() {
      await delivering
    },
  }
}

function dropBefore(log: MemoryLog, offset: number): void {
  const gone = log.records.splice(0, Math.max(0, offset - log.first))
  log.first += gone.length
  for (const record of gone) log.bytes -= sizeOf(record)
}

function sizeOf({ key, value }: LogRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0)
}
