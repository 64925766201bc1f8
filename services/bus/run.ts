import { TOPICS } from '../../schemas/topics.ts'
import type { Assignment, Processor } from '../core/processor.ts'
import { type BrokerClock, type Clock, createBrokerClock } from './clock.ts'
import type { Codec, Decoder } from './codec.ts'
import type { StageHealth } from './health.ts'
import { createLane, type Lane, type LaneParts, type TopicEnds } from './lane.ts'
import type { Bus, OffsetRange, RecordBatch, TopicPartition } from './port.ts'
import { createPublisher } from './publisher.ts'

/** A stage of the pipeline: what it reads and the processor that it is. */
export interface StageSpec<Effect = never> {
  readonly name: string
  /** Consumer group, one per service. */
  readonly group: string
  readonly topics: readonly string[]
  /** A compacted topic of the stage's own, read whole before its processor is created. */
  readonly changelog?: string
  /** Decoders other than the codec's own. */
  readonly decoders?: Readonly<Record<string, Decoder>>
  /** False for a stage whose bad input another stage puts into lens.dead-letters already. */
  readonly deadLetters: boolean
  readonly create: (assignment: Assignment) => Processor<Effect>
  /** Called with each assignment, before the processors of its partitions are created. */
  readonly assigned?: () => void
  /** Carries out an effect; retryable LensErrors are tried again, others end the stage. */
  readonly carryOut?: (effect: Effect) => Promise<void>
}

export interface StageParts {
  readonly bus: Bus
  readonly codec: Codec
  readonly clock: Clock
  readonly health: StageHealth
  readonly log: (line: string) => void
  /** The stage cannot go on: the process should end. */
  readonly onFailure: (error: unknown) => void
}

/** A running stage. */
export interface Stage {
  /**
   * Lets time pass for every partition that is not at work on the time before; a process calls it
   * some times a second, whether or not the last call has ended.
   */
  tick(): Promise<void>
  /** Every record that was in the source topics when it was called has been committed. */
  isCaughtUp(): Promise<boolean>
  /** Every record that was there has been read; a stop flushes what is not committed yet. */
  hasReadAll(): Promise<boolean>
  /**
   * Stops reading, flushes what may be flushed, commits and leaves the group. Rejects, after all of
   * that, when a flush failed, or the stage before it: what is not committed will be read again.
   */
  stop(): Promise<void>
}

/** Messages of one time of trouble. */
const SAID_MAX = 16

/** Starts a stage: poll, decode, process, publish, carry out effects, commit; in that order. */
export async function runStage<Effect>(spec: StageSpec<Effect>, parts: StageParts): Promise<Stage> {
  const { bus, codec, clock, log } = parts
  const brokerClock = createBrokerClock(clock)
  const publisher = createPublisher({ bus, codec, clock, brokerClock, log })
  const source = bus.source(spec.group, spec.topics)
  const partitions = await bus.partitionCounts(TOPICS.map((topic) => topic.name))
  let lanes = new Map<string, Lane>()
  let stopping = false
  let asking = false
  let failure: unknown = null
  let halted = false
  const said = new Set<string>()

  function fail(error: unknown): void {
    failure ??= error
    if (halted || stopping) return
    halted = true
    parts.onFailure(error)
  }

  function laneParts(): LaneParts<Effect> {
    return { ...parts, spec, source, partitions, publisher, brokerClock, isStopped: () => halted }
  }

  async function areAtEnd(offset: (lane: Lane) => number): Promise<boolean> {
    const ends = new Map<string, readonly OffsetRange[]>()
    for (const topic of spec.topics) ends.set(topic, await bus.offsets(topic))
    return [...lanes.values()].every(
      (lane) => offset(lane) >= ends.get(lane.topic)![lane.partition]!.end,
    )
  }

  /** Each trouble with the broker once, however often it is asked, and once that it is over. */
  function tell(trouble: Error | null): void {
    if (trouble === null) {
      if (said.size > 0) log(`${spec.name}: the broker answers again`)
      said.clear()
    } else if (!said.has(trouble.message) && said.size < SAID_MAX) {
      said.add(trouble.message)
      log(`${spec.name}: ${trouble.message}; asked again until it answers`)
    }
  }

  await source.run({
    assigned(owned: readonly TopicPartition[]) {
      for (const lane of lanes.values()) lane.abandon()
      spec.assigned?.()
      lanes = new Map(owned.map((tp) => [laneKey(tp), createLane(tp, laneParts(), fail)]))
      const list = owned.map(laneKey).join(' ')
      log(`${spec.name}: ${owned.length === 0 ? 'no partitions' : `partitions ${list}`}`)
    },
    async batch(batch: RecordBatch, delivery) {
      const lane = lanes.get(laneKey(batch))
      if (lane && !stopping) await lane.batch(batch, delivery)
    },
    failed: fail,
  })

  return {
    async tick() {
      if (stopping || halted) return
      const nowMs = brokerClock.nowMs()
      for (const lane of lanes.values()) lane.tellLag(nowMs)
      const due = [...lanes.values()].filter((lane) => lane.isDue(nowMs))
      if (asking || due.length === 0) return
      asking = true
      const ends = await endsOf(due, bus, brokerClock)
        .finally(() => {
          asking = false
        })
        .catch((trouble) => void (stopping || tell(trouble)))
      if (!ends) return
      tell(null)
      await Promise.all(due.map((lane) => lane.tick(ends.get(lane.topic)!)))
    },
    isCaughtUp: () => areAtEnd((lane) => lane.committedOffset()),
    hasReadAll: () => areAtEnd((lane) => lane.readOffset()),
    async stop() {
      if (stopping) return
      stopping = true
      if (!halted) await Promise.all([...lanes.values()].map((lane) => lane.drain()))
      await source.stop()
      await publisher.close()
      if (failure) throw failure
    },
  }
}

function laneKey({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

/** One look at each topic's ends serves all its lanes. */
async function endsOf(
  lanes: readonly Lane[],
  bus: Bus,
  brokerClock: BrokerClock,
): Promise<ReadonlyMap<string, TopicEnds>> {
  const ends = new Map<string, TopicEnds>()
  for (const topic of new Set(lanes.map((lane) => lane.topic))) {
    // Taken before the question is sent: what the answer does not hold yet is appended later.
    const brokerMs = brokerClock.nowMs()
    ends.set(topic, { brokerMs, ranges: await bus.offsets(topic) })
  }
  return ends
}
