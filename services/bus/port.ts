/**
 * The log behind one small port. Two adapters: memory.ts and kafka.ts. Nothing else in the system
 * knows which one it runs on, and no type of a Kafka client leaves its adapter.
 */
import type { Commit } from '../core/processor.ts'

/** A record as the log holds it. */
export interface LogRecord {
  readonly offset: number
  /** The broker's append time where the topic has it, else the producer's time; milliseconds. */
  readonly appendMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** Where the batch begins that the record stands for, when its value is NOT_UNPACKED. */
  readonly batchFrom?: number | undefined
}

/**
 * The value of a record that stands for a whole batch, at that one's last offset, which holds more
 * than is unpacked. Known by identity: no producer can send it.
 */
export const NOT_UNPACKED = new Uint8Array(0)

/** What a producer hands over. */
export interface NewRecord {
  readonly key: string | Uint8Array | null
  readonly value: Uint8Array
}

/** Where a send landed. `appendMs` is the broker's clock; null where the topic does not have it. */
export interface Appended {
  readonly baseOffset: number
  readonly appendMs: number | null
}

export interface Sink {
  /**
   * Appends to exactly one topic-partition: a send over two leaders can repeat records (F1), and
   * a record without a partition can move on retry (F2). Rejects with LensError
   * send_outcome_unknown when the records may or may not be in the log. No attempt begins once
   * `signal` is aborted; one that is under way may still succeed.
   */
  append(
    topic: string,
    partition: number,
    records: readonly NewRecord[],
    signal?: AbortSignal,
  ): Promise<Appended>
  close(): Promise<void>
}

export interface RecordBatch {
  readonly topic: string
  readonly partition: number
  /** `records` are all that the log holds from here on... */
  readonly from: number
  /** ...to before here: offsets may be missing (control records, compaction), records are not. */
  readonly end: number
  readonly records: readonly LogRecord[]
}

/** One member of a consumer group. */
export interface Source {
  /**
   * Joins the group. Batches of one partition come one at a time, in offset order; those of
   * different partitions may overlap. `assigned` is called at every (re)balance with all that the
   * member owns, before any batch of it; what the member had before is no longer its own.
   */
  run(handlers: SourceHandlers): Promise<void>
  committed(topic: string, partition: number): Promise<Commit | null>
  seek(topic: string, partition: number, offset: number): void
  /** Rejects when the member no longer owns the partition. */
  commit(topic: string, partition: number, commit: Commit): Promise<void>
  /** Leaves the group after the running handlers have ended. */
  stop(): Promise<void>
}

export interface SourceHandlers {
  assigned(partitions: readonly TopicPartition[]): void
  batch(batch: RecordBatch, delivery: Delivery): Promise<void>
  /** The source cannot go on; the process should end and be started again. */
  failed(error: unknown): void
}

export interface Delivery {
  /** To be called in long handlers, so that the group does not give the member up. */
  heartbeat(): Promise<void>
  /** True when a seek or a rebalance has overtaken this batch: it must not be processed. */
  isStale(): boolean
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly replication: number
  readonly settings: Readonly<Record<string, string>>
}

export interface OffsetRange {
  /** Of the oldest record that is left. */
  readonly first: number
  /** After the last record. */
  readonly end: number
}

export interface Bus {
  /** A patient one looks two minutes for a broker that goes in the middle of an append. */
  sink(patient?: boolean): Promise<Sink>
  source(group: string, topics: readonly string[]): Source
  /** Partition counts; a missing topic is absent from the answer. */
  partitionCounts(topics: readonly string[]): Promise<Readonly<Record<string, number>>>
  /** Creates what is missing and leaves the rest as it is; returns the names that it created. */
  createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]>
  /** By partition. */
  offsets(topic: string): Promise<readonly OffsetRange[]>
  /** All records that a partition holds now, oldest first: a compacted topic as a table. */
  readAll(topic: string, partition: number): Promise<readonly LogRecord[]>
  close(): Promise<void>
}
