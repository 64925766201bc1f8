/**
 * Streams whose every chunk has a known place: chunk n of a probe comes 20 ms after chunk n − 1,
 * and a record is sent once a second with all that came since, as the collector does it.
 */
import type { TokenEvents } from '../../../schemas/records.ts'
import { tokenEvents } from '../../records.ts'

export const PROBES = 10
const GAP_MS = 20
const RECORD_MS = 1_000
const CHUNKS = RECORD_MS / GAP_MS

/** Of the first chunk's send; probes are spread over the second. */
export function probeStartMs(probe: number, sinceMs: number): number {
  return sinceMs - RECORD_MS + (probe * RECORD_MS) / PROBES
}

/** When the record is whole. */
export function probeDueMs(probe: number, record: number, sinceMs: number): number {
  return probeStartMs(probe, sinceMs) + (record + 1) * RECORD_MS
}

/** Of all probes together. */
export function probeChunksPerSecond(): number {
  return (PROBES * 1000) / GAP_MS
}

export function probeTenant(probe: number): string {
  return `probe-${probe}`
}

export function probeRecord(probe: number, record: number, sinceMs: number): TokenEvents {
  return tokenEvents({
    request_id: `probe-${probe}-${sinceMs}`,
    tenant: probeTenant(probe),
    started_at: probeStartMs(probe, sinceMs) * 1000,
    first_chunk: record * CHUNKS,
    elapsed_us: record * RECORD_MS * 1000,
    gaps_us: new Array(CHUNKS).fill(GAP_MS * 1000),
  })
}

export interface ProbeChunk {
  readonly atMs: number
  /** When its record was to be sent. */
  readonly sentMs: number
}

/** The `nth` chunk, from 0, with a gap before it in the window from `startMs` on. */
export function probeChunk(
  probe: number,
  nth: number,
  startMs: number,
  sinceMs: number,
): ProbeChunk {
  const fromMs = probeStartMs(probe, sinceMs)
  // Chunk 0 has a time to first token, and no gap.
  const chunk = Math.max(1, Math.ceil((startMs - fromMs) / GAP_MS) - 1) + nth
  const sentMs = probeDueMs(probe, Math.floor(chunk / CHUNKS), sinceMs)
  return { atMs: fromMs + (chunk + 1) * GAP_MS, sentMs }
}
