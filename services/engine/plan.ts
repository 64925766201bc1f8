import type { Random } from '../core/random.ts'
import type { EngineModel } from './models.ts'
import { logNormal } from './random.ts'

/** What a model was doing when the request came. */
export interface Load {
  readonly running: number
  readonly waiting: number
}

export interface PlannedChunk {
  /** Time since the chunk before; for the first chunk, since the request got its slot. */
  readonly gapUs: number
  readonly tokens: number
}

/** How a request ends. */
export type Fate =
  | { readonly kind: 'ok'; readonly finishReason: 'stop' | 'length' }
  /** Answered at once with this status instead of being served. */
  | { readonly kind: 'rejected'; readonly status: 429 | 500 }
  /** After the planned chunks comes an error event inside the stream. */
  | { readonly kind: 'in_band_error' }
  /** After the planned chunks the connection closes without a word. */
  | { readonly kind: 'truncated' }

/** All that will be sent for one request, and when. */
export interface Plan {
  readonly ttftUs: number
  readonly chunks: readonly PlannedChunk[]
  /** From the last chunk to the end: 0 when all is well, else the gap of the chunk that failed. */
  readonly endGapUs: number
  readonly fate: Fate
}

const MULTI_TOKENS_MAX = 5

/**
 * Plans one request from its own generator. The load scales times but takes no draws, so the same
 * seed gives the same chunks under any load, and `tokensMax` only cuts their list short.
 */
export function planRequest(
  model: EngineModel,
  random: Random,
  load: Load,
  tokensMax = Number.POSITIVE_INFINITY,
): Plan {
  const slowdown = slowdownOf(model, load)
  const failure = drawFailure(model, random())
  const cutShare = random()
  const ttftUs = toMicros(logNormal(random, model.ttftMs) * slowdown)
  const drawn = Math.max(1, Math.round(logNormal(random, model.outputTokens)))
  const wanted = Math.min(drawn, model.outputTokens.max)
  const outputTokens = Math.min(wanted, tokensMax)
  const chunks: PlannedChunk[] = []
  for (let left = outputTokens; left > 0; left -= chunks.at(-1)!.tokens) {
    const tokens = Math.min(left, drawChunkTokens(model, random))
    const gapUs = toMicros(logNormal(random, model.gapMs) * slowdown)
    chunks.push({ tokens, gapUs: chunks.length === 0 ? ttftUs : gapUs })
  }
  if (failure === null) {
    const cutShort = outputTokens < wanted || drawn > model.outputTokens.max
    const fate: Fate = { kind: 'ok', finishReason: cutShort ? 'length' : 'stop' }
    return { ttftUs, chunks, endGapUs: 0, fate }
  }
  if (failure.kind === 'rejected') return { ttftUs, chunks: [], endGapUs: 0, fate: failure }
  const sent = Math.floor(cutShare * chunks.length)
  const endGapUs = chunks[sent]!.gapUs
  return { ttftUs, chunks: chunks.slice(0, sent), endGapUs, fate: failure }
}

/** Output tokens of a whole plan. */
export function plannedTokens(plan: Plan): number {
  return plan.chunks.reduce((sum, chunk) => sum + chunk.tokens, 0)
}

/** From the slot to the end of the response. */
export function plannedDurationUs(plan: Plan): number {
  return plan.chunks.reduce((sum, chunk) => sum + chunk.gapUs, plan.endGapUs)
}

function slowdownOf(model: EngineModel, load: Load): number {
  const share = Math.min(1, (load.running + load.waiting) / model.slots)
  return 1 + model.slowdownAtFull * share * share
}

function drawFailure({ faults }: EngineModel, draw: number): Exclude<Fate, { kind: 'ok' }> | null {
  let bound = faults.http429
  if (draw < bound) return { kind: 'rejected', status: 429 }
  bound += faults.http500
  if (draw < bound) return { kind: 'rejected', status: 500 }
  bound += faults.inBandError
  if (draw < bound) return { kind: 'in_band_error' }
  bound += faults.truncated
  return draw < bound ? { kind: 'truncated' } : null
}

function drawChunkTokens(model: EngineModel, random: Random): number {
  const multi = random() < model.multiTokenShare
  const size = random()
  return multi ? 2 + Math.floor(size * (MULTI_TOKENS_MAX - 1)) : 1
}

function toMicros(milliseconds: number): number {
  return Math.max(1, Math.round(milliseconds * 1000))
}
