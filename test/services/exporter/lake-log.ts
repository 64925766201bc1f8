import type { TokenEvents } from '../../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import type { Assignment, Commit, Decoded, Plan } from '../../../services/core/processor.ts'
import { createLakeBudget, type LakeBudget } from '../../../services/exporter/lake-budget.ts'
import {
  createLakeProcessor,
  type LakeOptions,
  type LakeProcessor,
} from '../../../services/exporter/lake-processor.ts'
import type { LakeFile, LakeRange } from '../../../services/exporter/lake-range.ts'
import { toArrow, toArrowStream } from '../../../services/formats/arrow.ts'
import { datasetNamed } from '../../../services/formats/datasets.ts'
import { toParquet } from '../../../services/formats/parquet.ts'
import type { OffsetRange } from '../../../services/lake/range-marker.ts'
import { T0_MS, tokenEvents } from '../formats/records.ts'

/** A record of lens.token-events that ends a request, appended so long after T0. */
export function ended(offset: number, afterMs: number, over: Partial<TokenEvents> = {}): Decoded {
  const value = tokenEvents({ request_id: `r-${offset}`, ...over })
  return { offset, appendMs: T0_MS + afterMs, value, bad: null }
}

/** A record in the middle of a request: it is no row of requests. */
export function running(offset: number, afterMs: number): Decoded {
  return ended(offset, afterMs, { end: null })
}

/** A record that could not be decoded. */
export function broken(offset: number, afterMs: number): Decoded {
  return { offset, appendMs: T0_MS + afterMs, value: undefined, bad: 'truncated' }
}

/** What the last owner of lens.token-events-0 left behind. */
export function assignment(committed: Commit | null = null): Assignment {
  return {
    topic: TOKEN_EVENTS,
    partition: 0,
    committed,
    firstOffset: 0,
    changelog: [],
    partitions: {},
  }
}

export function processorOf(options: Partial<LakeOptions> = {}, from?: number): LakeProcessor {
  return ownerAfter(from === undefined ? null : { offset: from, metadata: '' }, options)
}

/** Of the owner after the one that has committed this. */
export function ownerAfter(
  committed: Commit | null,
  options: Partial<LakeOptions> = {},
  budget: LakeBudget = createLakeBudget(2 ** 30),
): LakeProcessor {
  const all = { rollMs: 60_000, rowsMax: 1000, bytesMax: 64 * 1024 * 1024, ...options }
  return createLakeProcessor(assignment(committed), all, budget)
}

/** Hands records over as the runner does, and carries all of the plan out. */
export function give(processor: LakeProcessor, records: readonly Decoded[]): Plan<LakeRange> {
  return whole(processor.onBatch({ topic: TOKEN_EVENTS, partition: 0, records }))
}

/** The ranges of a partition's log, which may begin anywhere; each minute of append time is one. */
export function rangesOf(partition: number, log: readonly Decoded[]): readonly LakeRange[] {
  const options = { rollMs: 60_000, rowsMax: 1000, bytesMax: 64 * 1024 * 1024 }
  const place = { ...assignment(), partition }
  const processor = createLakeProcessor(place, options, createLakeBudget(2 ** 30))
  const { effects } = whole(processor.onBatch({ topic: TOKEN_EVENTS, partition, records: log }))
  return [...effects, ...whole(processor.onDrain()).effects]
}

/** The parts of a plan, each asked for when the one before has been carried out. */
export function* partsOf(first: Plan<LakeRange>): Iterable<Plan<LakeRange>> {
  for (let plan: Plan<LakeRange> | undefined = first; plan; plan = plan.rest?.()) yield plan
}

/** All parts of a plan as one: every range, and what is committed in the end. */
export function whole(first: Plan<LakeRange>): Plan<LakeRange> {
  const parts = [...partsOf(first)]
  return { ...parts.at(-1)!, effects: parts.flatMap((part) => part.effects) }
}

/** The offsets of the rows of a file: the last column of each. */
export function offsetsIn(file: LakeFile): readonly number[] {
  return file.rows.map((cells) => cells.at(-1) as number)
}

/** All of a plan in short: range and offsets of each file of requests, and the last commit. */
export function brief(first: Plan<LakeRange>): {
  readonly files: readonly string[]
  readonly commit: number | null
} {
  const plan = whole(first)
  return { files: plan.effects.flatMap(briefFiles), commit: plan.commit?.offset ?? null }
}

function briefFiles({ range, files }: LakeRange): string[] {
  return requestsIn(files).map((file) => {
    const hour = /hour=(\d\d)/.exec(file.path)![1]
    return `[${range.from},${range.to}) ${hour}h: ${offsetsIn(file).join(' ')}`
  })
}

/** The bytes of a file, made in this thread. */
export function bytesOf({ dataset, rows }: LakeFile, range: OffsetRange): Uint8Array {
  const { columns, version } = datasetNamed(dataset)
  const metadata = { dataset, schemaVersion: version, ...range }
  return toParquet(toArrowStream(toArrow(columns, rows)), columns, metadata)
}

/** Those of the dataset requests. */
export function requestsIn(files: readonly LakeFile[]): readonly LakeFile[] {
  return files.filter(({ dataset }) => dataset === 'requests')
}
