import type { DeadLetterReason } from './dead-letter.ts'

/**
 * The contract between a stage and the runner (services/bus/run.ts), which does all reading,
 * publishing and committing. A processor owns one partition of one topic. It is synchronous and
 * deterministic: the same assignment, batches and ticks give the same plans.
 */
export interface Processor<Effect = never> {
  /** Where to start reading; null means the oldest record that is left. */
  readonly startOffset: number | null
  /** Records in offset order, each offset once. */
  onBatch(batch: Batch): Plan<Effect>
  /** Time passes: called when `wakeMs` of the last plan has come. */
  onTick(tick: Tick): Plan<Effect>
  /** The last call before an orderly stop; a stage whose cuts may fall anywhere flushes here. */
  onDrain(): Plan<Effect>
}

/** What a processor is created from. */
export interface Assignment {
  readonly topic: string
  readonly partition: number
  /** What the last owner of the partition committed. */
  readonly committed: Commit | null
  /** Offset of the oldest record that the partition still holds. */
  readonly firstOffset: number
  /** Decoded records of the same partition of the stage's changelog topic, oldest first. */
  readonly changelog: readonly unknown[]
  /** Partition counts of every topic. */
  readonly partitions: Readonly<Record<string, number>>
}

/** Decoded records of one topic-partition. */
export interface Batch {
  readonly topic: string
  readonly partition: number
  /** To be read once, in order; each record is valid until the next one is taken. */
  readonly records: Iterable<Decoded>
}

/** One record, or the reason why its bytes are none. */
export interface Decoded {
  readonly offset: number
  /** When the broker appended it (topics with LogAppendTime), in milliseconds. */
  readonly appendMs: number
  /** Undefined when bad. */
  readonly value: unknown
  readonly bad: DeadLetterReason | null
}

/** A reading of the broker's clock, never ahead of it, so that a decision comes late, not early. */
export interface Tick {
  readonly brokerMs: number
  /** Every record that the partition held at brokerMs has been given to onBatch. */
  readonly caughtUp: boolean
}

/** What the runner shall do, in this order: publish, carry out the effects, then commit. */
export interface Plan<Effect = never> {
  readonly outputs: readonly Output[]
  readonly effects: readonly Effect[]
  /** Null: nothing can be committed yet. */
  readonly commit: Commit | null
  /** Broker time in milliseconds before which a tick is of no use; Infinity for never. */
  readonly wakeMs: number
  /**
   * The rest of the same work, to be asked for when this part has been carried out and before
   * anything else: so that no plan holds more records than fit into memory.
   */
  readonly rest?: () => Plan<Effect>
}

/** A record to publish, always to a named partition (research/kafka-clients.md F1, F2). */
export interface Output {
  readonly topic: string
  readonly partition: number
  readonly key: string | null
  /** A record of the topic, or its bytes. */
  readonly value: object
}

/** A position to come back to. */
export interface Commit {
  /** The next offset to read. */
  readonly offset: number
  /** At most 4,096 bytes for the partition's next owner. */
  readonly metadata: string
}
