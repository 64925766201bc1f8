import type { LensError } from '../core/errors.ts'
import type { Assignment, Commit, Decoded, Plan, Processor } from '../core/processor.ts'
import type { BrokerClock } from './clock.ts'
import type { Decoder } from './codec.ts'
import type { Delivery, LogRecord, RecordBatch, Source, TopicPartition } from './port.ts'
import type { BadRecord, Publisher } from './publisher.ts'
import { type RetrySurroundings, retrying } from './retry.ts'
import type { StageParts, StageSpec } from './run.ts'

/** One partition of a running stage: its processor, and the order of its work. */
export interface Lane extends TopicPartition {
  batch(batch: RecordBatch, delivery: Delivery): Promise<void>
  isDue(): boolean
  /** `end` was the partition's end when the broker's clock showed at least `brokerMs`. */
  tick(brokerMs: number, end: number): Promise<void>
  committedOffset(): number
  drain(): Promise<void>
  /** The partition has a new owner, or this one begins anew: whatever is under way ends. */
  abandon(): void
}

export interface LaneParts<Effect> extends StageParts {
  readonly spec: StageSpec<Effect>
  readonly source: Source
  readonly partitions: Readonly<Record<string, number>>
  readonly publisher: Publisher
  readonly brokerClock: BrokerClock
  readonly isStopped: () => boolean
}

/** Starts a lane: it reads what was committed, creates the processor and seeks. */
export function createLane<Effect>(
  { topic, partition }: TopicPartition,
  parts: LaneParts<Effect>,
  fail: (error: unknown) => void,
): Lane {
  const { spec, source, codec, health, clock, brokerClock, publisher } = parts
  const decode: Decoder = spec.decoders?.[topic] ?? codec.decoder(topic)
  let processor: Processor<Effect> | null = null
  let position = 0
  let committed = 0
  let firstUncommittedMs: number | null = null
  let wakeMs = Number.NEGATIVE_INFINITY
  let gone = false
  let tail: Promise<unknown> = Promise.resolve()
  const ready = inOrder(begin)
  ready.catch(() => {})

  /** Work of one partition never overlaps. */
  function inOrder(work: () => Promise<void>): Promise<void> {
    const next = tail
      .then(() => (gone || parts.isStopped() ? undefined : work()))
      .catch((error) => {
        if (gone) return
        fail(error)
        throw error
      })
    tail = next.catch(() => {})
    return next
  }

  async function begin(): Promise<void> {
    const last = await retrying(() => source.committed(topic, partition), parts)
    const range = (await retrying(() => parts.bus.offsets(topic), parts))[partition]!
    const assignment: Assignment = {
      topic,
      partition,
      committed: last,
      firstOffset: range.first,
      changelog: spec.changelog ? await readChangelog(spec.changelog) : [],
      partitions: parts.partitions,
    }
    if (gone) return
    processor = spec.create(assignment)
    const start = processor.startOffset ?? range.first
    if (start < range.first) health.missing(range.first - start)
    position = Math.max(start, range.first)
    committed = last?.offset ?? range.first
    if (position !== last?.offset) source.seek(topic, partition, position)
  }

  async function readChangelog(changelog: string): Promise<readonly unknown[]> {
    const records = await retrying(() => parts.bus.readAll(changelog, partition), parts)
    const read = codec.decoder(changelog)
    await retrying(
      () =>
        codec.prepare(
          changelog,
          records.map((record) => record.value),
        ),
      parts,
    )
    return records.flatMap(({ value, appendMs }) => {
      const result = read(value, appendMs)
      return result.bad ? [] : [result.value]
    })
  }

  function* decoded(records: readonly LogRecord[], bad: BadRecord[]): Iterable<Decoded> {
    for (const record of records) {
      const result = decode(record.value, record.appendMs)
      if (result.bad) bad.push({ topic, partition, record, reason: result.bad })
      yield { offset: record.offset, appendMs: record.appendMs, ...result }
    }
  }

  async function process(batch: RecordBatch, delivery: Delivery): Promise<void> {
    if (delivery.isStale() || !processor) return
    const records = batch.records.filter((record) => record.offset >= position)
    if (records.length === 0) return
    const newest = records.at(-1)!
    await retrying(
      () =>
        codec.prepare(
          topic,
          records.map((record) => record.value),
        ),
      {
        ...parts,
        heartbeat: delivery.heartbeat,
      },
    )
    if (delivery.isStale() || gone) return
    brokerClock.observe(newest.appendMs)
    firstUncommittedMs ??= records[0]!.appendMs
    const bad: BadRecord[] = []
    const plan = processor.onBatch({ topic, partition, records: decoded(records, bad) })
    position = newest.offset + 1
    health.recordsIn(topic, records.length)
    await perform(plan, bad, delivery.heartbeat)
  }

  async function perform(
    plan: Plan<Effect>,
    bad: readonly BadRecord[],
    heartbeat?: () => Promise<void>,
  ): Promise<void> {
    const started = clock.monotonicMs()
    const how = { ...parts, heartbeat, isStopped: () => gone || parts.isStopped() }
    health.deadLetters(bad)
    await beating(heartbeat, async () => {
      if (spec.deadLetters && bad.length > 0) await publisher.deadLetters(spec.name, bad, how)
      if (plan.outputs.length > 0) await publisher.publish(plan.outputs, how)
      for (const effect of plan.effects) await retrying(() => spec.carryOut!(effect), how)
    })
    if (plan.commit && !gone) {
      if (!(await commit(plan.commit, how))) return
      health.flushed(clock.monotonicMs() - started)
    }
    wakeMs = plan.wakeMs
    health.recordsOut(plan.outputs)
  }

  /** False when the partition is no longer ours; the new owner will do this work again. */
  async function commit(to: Commit, how: RetrySurroundings): Promise<boolean> {
    try {
      await retrying(() => source.commit(topic, partition, to), how)
    } catch (error) {
      if ((error as LensError).code !== 'partition_lost') throw error
      parts.log(`${spec.name}: ${(error as Error).message}`)
      gone = true
      return false
    }
    committed = to.offset
    firstUncommittedMs = null
    return true
  }

  return {
    topic,
    partition,
    batch: (batch, delivery) => inOrder(() => process(batch, delivery)),
    isDue: () => processor !== null && wakeMs <= brokerClock.nowMs(),
    committedOffset: () => committed,
    async tick(brokerMs, end) {
      await inOrder(async () => {
        const caughtUp = position >= end
        const lagMs = caughtUp || firstUncommittedMs === null ? 0 : brokerMs - firstUncommittedMs
        health.lag(topic, partition, Math.max(0, lagMs))
        if (processor) await perform(processor.onTick({ brokerMs, caughtUp }), [])
      }).catch(() => {})
    },
    async drain() {
      await ready.catch(() => {})
      await inOrder(async () => {
        if (processor) await perform(processor.onDrain(), [])
      }).catch(() => {})
      gone = true
    },
    abandon() {
      gone = true
    },
  }
}

const BEAT_MS = 2_000

/** One upload may take longer than a session: the group is told all the while that we live. */
async function beating(
  heartbeat: (() => Promise<void>) | undefined,
  work: () => Promise<void>,
): Promise<void> {
  // A heartbeat that is refused shows again at the commit, which is refused too.
  const timer = heartbeat && setInterval(() => heartbeat().catch(() => {}), BEAT_MS)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
}
