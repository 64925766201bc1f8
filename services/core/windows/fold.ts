import type { ResourceSample } from '../../../schemas/records.ts'
import { VALUE_MAX } from '../histogram/distribution.ts'
import { CHUNK_GAP, E2E, GUARD, GUARD_SHARE, ITL, QUEUE, TPOT, TTFT } from '../measure/measures.ts'
import type { TokenRun } from '../measure/token-run.ts'
import { addReading } from './gauge.ts'
import { addErrors, addMeasure, gaugeOf, type SeriesAggregate, SLICE_MS } from './slice.ts'

/** Gives the aggregate of the slice that starts at `startMs`, making it when it is not there. */
export type SliceAt = (startMs: number) => SeriesAggregate

/** Start of the slice that holds an event time given in microseconds; in milliseconds. */
export function sliceStart(atUs: number): number {
  return Math.floor(atUs / (SLICE_MS * 1000)) * SLICE_MS
}

/** The latest event time in a run, in microseconds since the epoch. */
export function eventTimeUs(run: TokenRun): number {
  const last = run.startedAtUs + run.lastUs
  return run.end ? Math.max(last, run.startedAtUs + run.end.duration_us) : last
}

/**
 * Counts a run of chunks: each gap in the slice of its chunk, the request's own measures in the
 * slice of its end (design §3).
 */
export function foldRun(run: TokenRun, sliceAt: SliceAt): void {
  let atUs = run.startedAtUs + run.elapsedUs
  let startMs = sliceStart(atUs)
  let endUs = (startMs + SLICE_MS) * 1000
  let slice: SeriesAggregate | null = null
  for (let i = 0; i < run.chunks; i++) {
    const gap = run.gapsUs[i]!
    atUs += gap
    if (atUs >= endUs || slice === null) {
      startMs = sliceStart(atUs)
      endUs = (startMs + SLICE_MS) * 1000
      slice = sliceAt(startMs)
    }
    if (run.firstChunk + i === 0) {
      addMeasure(slice, TTFT, gap, 1)
      continue
    }
    addMeasure(slice, CHUNK_GAP, gap, 1)
    const tokens = run.hasTokens ? run.tokens[i]! : 1
    if (tokens > 0) addMeasure(slice, ITL, Math.round(gap / tokens), tokens)
  }
  if (run.end) foldEnd(run, sliceAt(sliceStart(run.startedAtUs + run.end.duration_us)))
}

function foldEnd(run: TokenRun, slice: SeriesAggregate): void {
  const end = run.end!
  slice.requests += 1
  slice.chunks += end.chunks
  slice.inputTokens += end.input_tokens ?? 0
  slice.outputTokens += end.output_tokens ?? 0
  if (end.status === 'cancelled') slice.cancelled += 1
  if (end.status === 'error' || end.status === 'truncated') {
    slice.errors += 1
    addErrors(slice, end.error_type || end.status, 1)
  }
  if (end.status === 'ok' && end.chunks > 0) {
    addMeasure(slice, E2E, run.lastUs, 1)
    const tokens = (end.output_tokens ?? 0) - end.first_chunk_tokens
    if (end.chunks > 1 && tokens > 0 && end.ttft_us !== null) {
      addMeasure(slice, TPOT, Math.round((run.lastUs - end.ttft_us) / tokens), 1)
    }
  }
  if (end.intended_at !== null) {
    addMeasure(slice, QUEUE, Math.max(0, run.startedAtUs - end.intended_at), 1)
  }
  if (end.security) {
    const { validation_us, threat_detection_us, output_filter_us } = end.security
    const guardUs = validation_us + threat_detection_us + output_filter_us
    addMeasure(slice, GUARD, guardUs, 1)
    if (end.duration_us > 0) {
      const share = (guardUs / end.duration_us) * 2 ** GUARD_SHARE.unitShift
      addMeasure(slice, GUARD_SHARE, Math.min(Math.round(share), VALUE_MAX), 1)
    }
  }
}

/** Counts one gauge reading. */
export function foldSample(sample: ResourceSample, sliceAt: SliceAt): void {
  addReading(gaugeOf(sliceAt(sliceStart(sample.at)), sample.name), sample.value, sample.at)
}
