import type { ResourceSample } from '../../../schemas/records.ts'
import { VALUE_MAX } from '../histogram/distribution.ts'
import { E2E, GUARD, GUARD_SHARE, QUEUE, TPOT, TTFT } from '../measure/measures.ts'
import type { TokenRun } from '../measure/token-run.ts'
import { addReading } from './gauge.ts'
import { addErrors, addGaps, addMeasure, gaugeOf, type SeriesAggregate, SLICE_MS } from './slice.ts'

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

/** Start of the slice that holds the first thing that a run counts. */
export function firstSlice({ startedAtUs, elapsedUs, gapsUs, chunks, end }: TokenRun): number {
  const firstUs = chunks > 0 ? elapsedUs + gapsUs[0]! : Number.POSITIVE_INFINITY
  return sliceStart(startedAtUs + Math.min(firstUs, end ? end.duration_us : firstUs))
}

/** Visits the start of each slice that foldRun counts a run in, maybe more than once. */
export function forEachSlice(run: TokenRun, visit: (startMs: number) => void): void {
  const { startedAtUs, elapsedUs, gapsUs, chunks, end } = run
  let atUs = startedAtUs + elapsedUs
  let endUs = Number.NEGATIVE_INFINITY
  for (let i = 0; i < chunks; i++) {
    atUs += gapsUs[i]!
    if (atUs < endUs) continue
    const startMs = sliceStart(atUs)
    visit(startMs)
    endUs = (startMs + SLICE_MS) * 1000
  }
  if (end) visit(sliceStart(startedAtUs + end.duration_us))
}

/**
 * Counts a run of chunks: each gap in the slice of its chunk, the request's own measures in the
 * slice of its end (design §3).
 */
export function foldRun(run: TokenRun, sliceAt: SliceAt): void {
  const { gapsUs, chunks } = run
  let atUs = run.startedAtUs + run.elapsedUs
  for (let from = 0; from < chunks; ) {
    atUs += gapsUs[from]!
    const startMs = sliceStart(atUs)
    const slice = sliceAt(startMs)
    if (run.firstChunk + from === 0) {
      addMeasure(slice, TTFT, gapsUs[from++]!, 1)
      continue
    }
    const endUs = (startMs + SLICE_MS) * 1000
    let to = from + 1
    // Mostly a run lies in one slice, and nothing has to be looked at.
    if (run.startedAtUs + run.lastUs < endUs) to = chunks
    else while (to < chunks && atUs + gapsUs[to]! < endUs) atUs += gapsUs[to++]!
    addGaps(slice, gapsUs, run.hasTokens ? run.tokens : null, from, to)
    from = to
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
