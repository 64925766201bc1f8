/** The one builder of records for tests. */
import type { RequestEnd, ResourceSample, Slice, TokenEvents } from '../schemas/records.ts'
import { createAvroWriter } from '../services/bus/avro-writer.ts'
import { HEADER_BYTES } from '../services/bus/codec.ts'
import { mergeSlices, readSliceRecord } from '../services/bus/slice-reader.ts'
import { createSliceWriter } from '../services/bus/slice-writer.ts'
import {
  type EncodedSlice,
  type EncodedWindowSlice,
  encodeSlice,
  type SeriesAggregate,
} from '../services/core/windows/slice.ts'
import type { SliceRecord } from '../services/core/windows/slice-record.ts'

/** 2026-11-24T12:00:00Z, on the boundary of a 15-minute window; microseconds. */
export const NOON_US = 1_795_521_600_000_000
export const NOON_MS = NOON_US / 1000

/** A record of two chunks, not the last of its request, unless told otherwise. */
export function tokenEvents(more: Partial<TokenEvents> = {}): TokenEvents {
  return {
    request_id: 'r-1',
    source: 'test',
    provider: 'vllm',
    model: 'm-1',
    endpoint: 'e-1',
    region: 'eu',
    tenant: 't-1',
    attributes: {},
    started_at: NOON_US,
    first_chunk: 0,
    elapsed_us: 0,
    gaps_us: [200_000, 20_000],
    tokens: [],
    token_source: 'chunk',
    end: null,
    ...more,
  }
}

/** The end of a request of two chunks that went well. */
export function requestEnd(more: Partial<RequestEnd> = {}): RequestEnd {
  return {
    status: 'ok',
    error_type: '',
    finish_reason: 'stop',
    duration_us: 221_000,
    ttft_us: 200_000,
    first_chunk_tokens: 1,
    chunks: 2,
    intended_at: null,
    input_tokens: 10,
    output_tokens: 2,
    cached_tokens: null,
    reasoning_tokens: null,
    attempts: 1,
    cost_usd: null,
    security: null,
    speculative: null,
    quality: [],
    ...more,
  }
}

/** A whole request in one record. */
export function wholeRequest(
  more: Partial<TokenEvents> = {},
  end: Partial<RequestEnd> = {},
): TokenEvents {
  const events = tokenEvents(more)
  const last = events.elapsed_us + events.gaps_us.reduce((sum, gap) => sum + gap, 0)
  const made = requestEnd({
    duration_us: last + 1_000,
    ttft_us: events.gaps_us[0] ?? null,
    chunks: events.gaps_us.length,
    output_tokens: events.tokens.length
      ? events.tokens.reduce((sum, n) => sum + n, 0)
      : events.gaps_us.length,
    first_chunk_tokens: events.tokens[0] ?? 1,
    ...end,
  })
  return { ...events, end: made }
}

/** A reading of 50 % GPU utilization. */
export function resourceSample(more: Partial<ResourceSample> = {}): ResourceSample {
  return {
    at: NOON_US,
    endpoint: 'e-1',
    model: 'm-1',
    region: 'eu',
    name: 'gpu_utilization',
    value: 0.5,
    attributes: {},
    ...more,
  }
}

/** The slice of an aggregate as a record that nothing else holds a part of. */
export function sliceRecord(startMs: number, aggregate: SeriesAggregate): Slice {
  const { metrics, ...slice } = encodeSlice(startMs, aggregate)
  const own = metrics.map(({ counts, ...metric }) => ({ ...metric, counts: Array.from(counts) }))
  return { ...slice, metrics: own }
}

const writer = createAvroWriter()
const writeSlice = createSliceWriter(writer)

/** A record of the slices topic as statistics takes it, through its bytes. */
export function sliceRecordOf(record: EncodedWindowSlice): SliceRecord {
  writer.open(Buffer.alloc(HEADER_BYTES))
  writeSlice(record)
  const { value, bad } = readSliceRecord(writer.bytes())
  if (bad) throw new Error(bad)
  return value as SliceRecord
}

/** Adds a slice to an aggregate as statistics does, through its bytes. */
export function mergeSlice(target: SeriesAggregate, slice: EncodedSlice): void {
  const place = { source_topic: 'raw', source_partition: 0, from: 0, to: 1, closing: null }
  mergeSlices(sliceRecordOf({ ...place, series: {}, slices: [slice] }), () => target)
}
