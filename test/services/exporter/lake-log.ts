import type { TokenEvents } from '../../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../../schemas/topics.ts'
import type { Assignment, Commit, Decoded, Plan } from '../../../services/core/processor.ts'
import {
  createLakeProcessor,
  type LakeOptions,
  type LakeProcessor,
} from '../../../services/exporter/lake-processor.ts'
import type { LakeFile } from '../../../services/exporter/lake-range.ts'
import { T0_MS, tokenEvents } from '../formats/records.ts'

/** A record of lens.token-events that ends a request, appended so long after T0. */
export function ended(offset: number, afterMs: number, over: Partial<TokenEvents> = {}): Decoded {
  const value = tokenEvents({ request_id: `r-${offset}`, ...over })
  return { offset, appendMs: T0_MS + afterMs, value, bad: null }
}

/** A record in the middle of a request: it has no row. */
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
  const committed = from === undefined ? null : { offset: from, metadata: '' }
  return createLakeProcessor(assignment(committed), { rollMs: 60_000, rowsMax: 1000, ...options })
}

/** Hands records over as the runner does, and carries all of the plan out. */
export function give(processor: LakeProcessor, records: readonly Decoded[]): Plan<LakeFile> {
  return whole(processor.onBatch({ topic: TOKEN_EVENTS, partition: 0, records }))
}

/** The parts of a plan, each asked for when the one before has been carried out. */
export function* partsOf(first: Plan<LakeFile>): Iterable<Plan<LakeFile>> {
  for (let plan: Plan<LakeFile> | undefined = first; plan; plan = plan.rest?.()) yield plan
}

/** All parts of a plan as one: every file, and what is committed in the end. */
export function whole(first: Plan<LakeFile>): Plan<LakeFile> {
  const parts = [...partsOf(first)]
  return { ...parts.at(-1)!, effects: parts.flatMap((part) => part.effects) }
}

/** The offsets of the rows of a file: the last column of each. */
export function offsetsIn(file: LakeFile): readonly number[] {
  return file.rows.map((cells) => cells.at(-1) as number)
}

/** All of a plan in short: range and offsets of each file, and the last commit. */
export function brief(first: Plan<LakeFile>): {
  readonly files: readonly string[]
  readonly commit: number | null
} {
  const plan = whole(first)
  return {
    files: plan.effects.map((file) => {
      const hour = /hour=(\d\d)/.exec(file.path)![1]
      return `[${file.range.from},${file.range.to}) ${hour}h: ${offsetsIn(file).join(' ')}`
    }),
    commit: plan.commit?.offset ?? null,
  }
}
