import type { RequestEnd, Status, TokenEvents, TokenSource } from '../../schemas/records.ts'
import { assert } from '../core/errors.ts'
import type { Usage } from './dialect/usage.ts'
import { NO_PHASES, type Phases } from './phases.ts'
import { addChunk, allKnown, isBuffered, newTimeline, type Timeline } from './timeline.ts'

/** What stays the same in all records of a request. */
export type RequestLabels = Pick<
  TokenEvents,
  'request_id' | 'source' | 'provider' | 'model' | 'endpoint' | 'region' | 'tenant' | 'attributes'
>

/** How a request ended. */
export interface Ending {
  readonly status: Status
  readonly errorType: string
  readonly finishReason: string
  /** Send to the close of the stream. */
  readonly durationUs: number
  readonly usage: Usage
  readonly quality: readonly string[]
  /** The sends of the client, this one included, as far as it says. */
  readonly attempts?: number
  readonly phases?: Phases
}

/**
 * The timeline of one request, cut into TokenEvents (the contract is in the schema's own words).
 *
 *   send ── gap 0 = TTFT ── chunk 0 ── gap 1 ── chunk 1 ─┬─ gap 2 ── chunk 2 ...
 *                                                      take(): the next run has first_chunk 2 and
 *                                                      elapsed_us = time of chunk 1
 */
export interface Meter {
  /**
   * An output chunk, so long after the send. True when the run is full: take() it before the next.
   * `tokens` is null when unknown.
   */
  chunk(elapsedUs: number, tokens: number | null): boolean
  /** The counts of tokens that are not sent yet are not to be believed. */
  distrust(): void
  /** The chunks since the last record; null when there are none. */
  take(): TokenEvents | null
  /** The last record of the request, with the chunks since the one before. */
  end(ending: Ending): TokenEvents
  /**
   * Fills the label in when the request did not name a model, before the first chunk: all records
   * of a request are of one series, however long it takes.
   */
  nameModel(model: string): void
  readonly chunks: () => number
}

/** Chunks in one record at most. */
export const RUN_CHUNKS_MAX = 512

/** Starts the timeline of a request that was sent at `startedAtUs` (wall clock). */
export function createMeter(
  labels: RequestLabels,
  startedAtUs: number,
  source: TokenSource = 'usage',
): Meter {
  const timeline = newTimeline()
  let { model } = labels
  let run = emptyRun(0, 0)
  let ended = false

  function record(end: RequestEnd | null): TokenEvents {
    const { firstChunk, elapsedUs, gapsUs, tokens } = run
    const isWhole = gapsUs.length > 0 ? run.unknown === 0 : allKnown(timeline)
    const hasTokens = run.unknown < gapsUs.length
    run = emptyRun(timeline.chunks, timeline.lastUs)
    return {
      ...labels,
      model,
      started_at: startedAtUs,
      first_chunk: firstChunk,
      elapsed_us: elapsedUs,
      gaps_us: gapsUs,
      // One unknown chunk, taken as one token, makes the counts of its run a guess. They are kept,
      // and the label is 'chunk'.
      tokens: hasTokens ? tokens : [],
      token_source: isWhole ? source : 'chunk',
      end,
    }
  }

  return {
    chunk(elapsedUs, tokens) {
      assert(!ended && run.gapsUs.length < RUN_CHUNKS_MAX, 'a chunk after the end or a full run')
      run.gapsUs.push(addChunk(timeline, elapsedUs, tokens))
      run.tokens.push(tokens ?? 1)
      if (tokens === null) run.unknown += 1
      return run.gapsUs.length === RUN_CHUNKS_MAX
    },
    distrust() {
      run.unknown = run.gapsUs.length
      timeline.unknown = Math.max(timeline.unknown, 1)
      timeline.firstTokens = 1
    },
    take: () => (run.gapsUs.length === 0 ? null : record(null)),
    end(ending) {
      assert(!ended, 'a request ends once')
      ended = true
      return record(requestEnd(timeline, ending))
    },
    nameModel(name) {
      if (model === '' && timeline.chunks === 0) model = name
    },
    chunks: () => timeline.chunks,
  }
}

function requestEnd(timeline: Timeline, ending: Ending): RequestEnd {
  const { usage, durationUs, phases = NO_PHASES } = ending
  const quality = new Set(ending.quality)
  if (phases.security !== null) quality.add('guarded')
  if (timeline.clamped) quality.add('gap_clamped')
  if (isBuffered(timeline, usage.outputTokens)) quality.add('buffered')
  return {
    status: ending.status,
    error_type: ending.errorType,
    finish_reason: ending.finishReason,
    duration_us: Math.max(timeline.lastUs, Math.round(durationUs)),
    ttft_us: timeline.ttftUs,
    first_chunk_tokens: timeline.firstTokens,
    chunks: timeline.chunks,
    intended_at: null,
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cached_tokens: usage.cachedTokens,
    reasoning_tokens: usage.reasoningTokens,
    attempts: ending.attempts ?? 1,
    cost_usd: null,
    ...phases,
    quality: [...quality],
  }
}

interface Run {
  readonly firstChunk: number
  /** Time of the chunk before the run; 0 before chunk 0. */
  readonly elapsedUs: number
  readonly gapsUs: number[]
  readonly tokens: number[]
  unknown: number
}

function emptyRun(firstChunk: number, elapsedUs: number): Run {
  return { firstChunk, elapsedUs, gapsUs: [], tokens: [], unknown: 0 }
}
