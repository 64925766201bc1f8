import type { Aggregate, ResourceSample } from '../../schemas/records.ts'
import { AGGREGATES, RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../schemas/topics.ts'
import { readRanges } from '../bus/read-range.ts'
import { createSampleDecoder } from '../bus/sample-decoder.ts'
import { createTokenRunDecoder } from '../bus/token-run-decoder.ts'
import { partitionOf } from '../core/hash.ts'
import type { TokenRun } from '../core/measure/token-run.ts'
import { seriesOf } from '../core/windows/series.ts'
import { type AuditParts, committedOf, decodeBatch, progressOf } from './audit-parts.ts'
import {
  compareReplay,
  createRecompute,
  type Recompute,
  type ReplayedWindow,
  type ReplayPlan,
  replayKey,
} from './replay-windows.ts'

/** The outcome of a replay. */
export interface Replayed {
  readonly windows: readonly ReplayedWindow[]
  /** The raw topic has lost its oldest records, and they may have been of these windows. */
  readonly isPartial: boolean
  /** The end of the latest final result of any series; -Infinity when there is none. */
  readonly closedMs: number
}

interface RunPlan extends ReplayPlan {
  /** As windowing has it: an event further ahead of its append is no record. */
  readonly futureMs: number
}

/** Recomputes the windows from the raw topics and compares them with what was published. */
export async function runReplay(parts: AuditParts, plan: RunPlan): Promise<Replayed> {
  const recompute = createRecompute(plan)
  const { codec } = parts
  const runs = createTokenRunDecoder(codec, TOKEN_EVENTS, plan.futureMs)
  const samples = createSampleDecoder(codec, RESOURCE_SAMPLES, plan.futureMs)
  // An event may be that far ahead of its append.
  const oldest = Math.min(...plan.startsMs) - plan.futureMs
  const cut = [
    await readRaw(parts, TOKEN_EVENTS, oldest, (value, appendMs) => {
      const result = runs(value, appendMs)
      if (!result.bad) recompute.run(result.value as TokenRun)
    }),
    await readRaw(parts, RESOURCE_SAMPLES, oldest, (value, appendMs) => {
      const result = samples(value, appendMs)
      if (!result.bad) recompute.sample(result.value as ResourceSample)
    }),
  ]
  const { published, closedMs } = await readPublished(parts, plan)
  const windows = compare(parts, published, recompute)
  return { windows, isPartial: cut.includes(true), closedMs }
}

function compare(
  { codec }: AuditParts,
  published: ReadonlyMap<string, Aggregate>,
  recompute: Recompute,
): ReplayedWindow[] {
  const bytes = (value: Aggregate) => Buffer.from(codec.encode(AGGREGATES, value))
  return compareReplay(published, recompute.results(), (a, b) => bytes(a).equals(bytes(b)))
}

/**
 * Gives all that windowing has read of a topic to `take`. True when the topic has lost records that
 * may have been appended at `oldestMs` or later.
 */
async function readRaw(
  { bus, codec, log }: AuditParts,
  topic: string,
  oldestMs: number,
  take: (value: Uint8Array | null, appendMs: number) => void,
): Promise<boolean> {
  const done = await committedOf(bus, 'lens-windowing', topic)
  const ranges = await bus.offsets(topic)
  const spans = ranges.map(({ first, end }, i) => ({ from: first, end: done[i] ?? end }))
  // Its records cannot be seen any more, so what they were is not known.
  let isPartial = ranges.some(({ first }, i) => first > 0 && first >= spans[i]!.end)
  const begun = new Set<number>()
  const progress = progressOf(topic, log)
  await readRanges(bus, topic, spans, async (partition, records) => {
    await codec.prepare(
      topic,
      records.map(({ value }) => value),
    )
    const isFirst = ranges[partition]!.first > 0 && !begun.has(partition)
    begun.add(partition)
    if (isFirst && records[0]!.appendMs > oldestMs) isPartial = true
    for (const { value, appendMs } of records) take(value, appendMs)
    progress(records.length)
  })
  return isPartial
}

/** Of each window asked for, the final result with the highest revision. */
async function readPublished({ bus, codec, log }: AuditParts, plan: RunPlan) {
  const published = new Map<string, Aggregate>()
  const starts = new Set(plan.startsMs)
  let closedMs = Number.NEGATIVE_INFINITY
  const progress = progressOf(AGGREGATES, log)
  const spans = (await bus.offsets(AGGREGATES)).map(({ first, end }) => ({ from: first, end }))
  await readRanges(bus, AGGREGATES, spans, async (_, records) => {
    for (const { value } of await decodeBatch(codec, AGGREGATES, records)) {
      const aggregate = value as Aggregate | null
      if (!aggregate?.final) continue
      closedMs = Math.max(closedMs, aggregate.end)
      if (aggregate.size_s * 1000 !== plan.sizeMs || !starts.has(aggregate.start)) continue
      if (plan.series && seriesOf(aggregate.series).key !== plan.series.key) continue
      const key = replayKey(aggregate.series, aggregate.start)
      if (aggregate.revision >= (published.get(key)?.revision ?? 0)) published.set(key, aggregate)
    }
    progress(records.length)
  })
  return { published, closedMs }
}

/** Whether statistics is done with a window, so that its next revision may be written here. */
export function isSettled(
  { published, recomputed }: ReplayedWindow,
  closedMs: number,
  latenessMs: number,
): boolean {
  return (published ?? recomputed)!.end + latenessMs <= closedMs
}

/** Publishes the recomputed results of these windows, each as the next revision. */
export async function publishReplay(
  { bus, codec }: Pick<AuditParts, 'bus' | 'codec'>,
  windows: readonly ReplayedWindow[],
): Promise<void> {
  const { [AGGREGATES]: partitions = 0 } = await bus.partitionCounts([AGGREGATES])
  const sink = await bus.sink()
  try {
    for (const { published, recomputed } of windows) {
      const revision = published ? published.revision + 1 : 0
      const value = codec.encode(AGGREGATES, { ...recomputed!, revision })
      const { key } = seriesOf(recomputed!.series)
      await sink.append(AGGREGATES, partitionOf(key, partitions), [{ key, value }])
    }
  } finally {
    await sink.close()
  }
}
