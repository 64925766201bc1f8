import { LensError } from '../core/errors.ts'
import type { Commit, Plan, Processor } from '../core/processor.ts'
import { askAgain, decodeAll, valuesOf } from './batch.ts'
import { readChangelog } from './changelog.ts'
import type { BrokerClock } from './clock.ts'
import type { Decoder } from './codec.ts'
import { failpoint } from './failpoint.ts'
import { createOrder } from './in-order.ts'
import { perform } from './perform.ts'
import type { Delivery, OffsetRange, RecordBatch, Source, TopicPartition } from './port.ts'
import type { BadRecord, Publisher } from './publisher.ts'
import { type RetrySurroundings, retrying } from './retry.ts'
import type { StageParts, StageSpec } from './run.ts'

/** One partition of a running stage: its processor, and the order of its work. */
export interface Lane extends TopicPartition {
  batch(batch: RecordBatch, delivery: Delivery): Promise<void>
  /** Whether its time has come, and it is not at work on the one before. */
  isDue(brokerMs: number): boolean
  tick(ends: TopicEnds): Promise<void>
  /** Says how old the first record is that is not committed, also while it waits for something. */
  tellLag(brokerMs: number): void
  committedOffset(): number
  /** Everything before it has been given to the processor. */
  readOffset(): number
  /** Flushes what may be flushed; what could not be is the lane's failure, like any other. */
  drain(): Promise<void>
  /** The partition has a new owner, or this one begins anew: whatever is under way ends. */
  abandon(): void
}

/** Where a topic ended when the broker's clock showed at least `brokerMs`. */
export interface TopicEnds {
  readonly brokerMs: number
  readonly ranges: readonly OffsetRange[]
}

export interface LaneParts<Effect> extends StageParts {
  readonly spec: StageSpec<Effect>
  readonly source: Source
  readonly partitions: Readonly<Record<string, number>>
  readonly publisher: Publisher
  readonly brokerClock: BrokerClock
  readonly isStopped: () => boolean
}

/**
 * Starts a lane: it reads what was committed, creates the processor and seeks, always: the client
 * may have read what was committed at another time.
 */
export function createLane<Effect>(
  { topic, partition }: TopicPartition,
  parts: LaneParts<Effect>,
  fail: (error: unknown) => void,
): Lane {
  const { spec, source, codec, health, clock, brokerClock, log } = parts
  const decode: Decoder = spec.decoders?.[topic] ?? codec.decoder(topic)
  // Work begins with what creates it.
  let processor!: Processor<Effect>
  let position = 0
  let committed = 0
  const age = createAge((lagMs) => health.lag(topic, partition, lagMs))
  let wakeMs = Number.POSITIVE_INFINITY
  let restsUntilMs = Number.NEGATIVE_INFINITY
  let gone = false
  let triesUntilMs = Number.POSITIVE_INFINITY
  // Work of one partition never overlaps.
  const inOrder = createOrder(() => gone || parts.isStopped(), onError, clock.turn)
  void inOrder(begin)

  // A new owner, if there is one, does the work again. The lane is over in any case: what the
  // processor gives next would be committed over what has failed.
  function onError(error: unknown): void {
    gone = true
    const isLost = (error as LensError).code === 'partition_lost'
    if (isLost) log(`${spec.name}: ${topic}-${partition}: ${(error as Error).message}`)
    else fail(error)
  }

  async function begin(): Promise<void> {
    const how = surroundings()
    const stored = await retrying(() => source.committed(topic, partition), how)
    const range = (await retrying(() => parts.bus.offsets(topic), how))[partition]!
    // A commit beyond the log's end is of a topic that was deleted and made anew since.
    const isOfAnother = stored !== null && stored.offset > range.end
    if (isOfAnother) log(`${spec.name}: ${topic}-${partition} was made anew: from its start`)
    const last = isOfAnother ? null : stored
    const place = { topic, partition, committed: last, firstOffset: range.first }
    const kept = spec.changelog && (await readChangelog(spec.changelog, partition, parts, how))
    const assignment = { ...place, changelog: kept || [], partitions: parts.partitions }
    if (gone) return
    processor = spec.create(assignment)
    const start = processor.startOffset ?? range.first
    position = Math.max(start, range.first)
    health.missing(isOfAnother ? stored.offset - range.end : position - start)
    committed = last?.offset ?? range.first
    wakeMs = Number.NEGATIVE_INFINITY
    source.seek(topic, partition, position)
  }

  async function take(batch: RecordBatch, delivery: Delivery): Promise<void> {
    if (delivery.isStale()) return
    const how = surroundings(delivery.heartbeat)
    if (batch.from > position) {
      position = await askAgain(batch, position, parts, how)
      return
    }
    const records = batch.records.filter((record) => record.offset >= position)
    const newest = records.at(-1)
    if (!newest) {
      position = Math.max(position, batch.end)
      return
    }
    brokerClock.observe(newest.appendMs)
    age.took(records, committed)
    await retrying(() => codec.prepare(topic, valuesOf(records)), how)
    if (delivery.isStale()) return
    const bad: BadRecord[] = []
    health.recordsIn(topic, records.length)
    const decoded = decodeAll({ ...batch, records }, decode, bad)
    await work(processor.onBatch({ topic, partition, records: decoded }), how, bad)
    position = batch.end
  }

  /** `bad` grows while the processor takes records; what is in it goes out with the next part. */
  async function work(
    first: Plan<Effect>,
    how: RetrySurroundings,
    bad: BadRecord[] = [],
  ): Promise<void> {
    const started = clock.monotonicMs()
    for (let plan: Plan<Effect> | undefined = first; plan; plan = plan.rest?.()) {
      const refused = bad.splice(0)
      health.deadLetters(refused)
      await perform(plan, refused, parts, how)
      if (plan.commit && !gone) await commit(plan.commit, how)
      if (gone) return
      if (plan.commit) health.flushed(clock.monotonicMs() - started)
      wakeMs = plan.wakeMs
      health.recordsOut(plan.outputs)
    }
  }

  function surroundings(heartbeat?: () => Promise<void>): RetrySurroundings {
    const isLate = () => clock.monotonicMs() > triesUntilMs
    return { ...parts, heartbeat, isStopped: () => gone || parts.isStopped() || isLate() }
  }

  async function commit(to: Commit, how: RetrySurroundings): Promise<void> {
    await retrying(() => commitOnce(() => source.commit(topic, partition, to), gone), how)
    if (to.offset > committed) age.committed()
    committed = to.offset
  }

  return {
    topic,
    partition,
    batch: (batch, delivery) => inOrder(() => take(batch, delivery)),
    isDue: (brokerMs) => Math.max(wakeMs, restsUntilMs) <= brokerMs,
    committedOffset: () => committed,
    readOffset: () => position,
    async tick({ brokerMs, ranges }) {
      const isCaughtUp = () => position >= (ranges[partition]?.end ?? 0)
      const onTick = () => processor.onTick({ brokerMs, caughtUp: isCaughtUp() })
      restsUntilMs = Number.POSITIVE_INFINITY
      await inOrder(() => work(onTick(), surroundings()))
      restsUntilMs = isCaughtUp() ? Number.NEGATIVE_INFINITY : brokerMs + ASK_AGAIN_MS
    },
    tellLag: age.tell,
    async drain() {
      triesUntilMs = clock.monotonicMs() + DRAIN_MAX_MS
      await inOrder(() => work(processor.onDrain(), surroundings()))
      gone = true
    },
    abandon() {
      gone = true
    },
  }
}

/** How old the first record is that has been taken and not committed. */
function createAge(told: (ageMs: number) => void) {
  let firstMs: number | null = null
  return {
    /** What is read again was committed long ago. */
    took(records: RecordBatch['records'], committed: number) {
      firstMs ??= records.find(({ offset }) => offset >= committed)?.appendMs ?? null
    },
    committed() {
      firstMs = null
    },
    tell: (brokerMs: number) => told(firstMs === null ? 0 : Math.max(0, brokerMs - firstMs)),
  }
}

/** A source knows the partitions of its member, not whose lane asks: that one may be over. */
async function commitOnce(commit: () => Promise<void>, isOver: boolean): Promise<void> {
  if (isOver) throw new LensError('partition_lost', 'the lane was over before it could commit')
  failpoint('before-commit')
  await commit()
  failpoint('after-commit')
}

/** One that is behind has better things to do than to ask how far. */
const ASK_AGAIN_MS = 200

/** How long an orderly stop tries to get rid of what is left. */
const DRAIN_MAX_MS = 15_000
