import type { Status, TokenEvents } from '../../schemas/records.ts'
import type { DeadLetterReason } from '../core/dead-letter.ts'
import { VALUE_MAX } from '../core/histogram/distribution.ts'
import type { Labels } from '../core/measure/labels.ts'
import type { RunEnd, TokenRun } from '../core/measure/token-run.ts'
import { eventTimeUs } from '../core/windows/fold.ts'
import { type AvroReader, createAvroReader } from './avro-reader.ts'
import { type Codec, type Decoder, HEADER_BYTES } from './codec.ts'
import { createLabelTable, type LabelTable } from './label-table.ts'

/**
 * The decoder of the inner loop: TokenEvents, from bytes into one reused TokenRun. Bounds-checked,
 * with no object, string or array per token; labels are looked up by their bytes. Records that
 * another version of the schema wrote take the way through avsc.
 *
 * layout  request_id source | provider model endpoint region tenant attributes | started_at
 *         first_chunk elapsed_us gaps_us[] tokens[] token_source end?
 */
export function createTokenRunDecoder(codec: Codec, topic: string, futureMs: number): Decoder {
  const reader = createAvroReader()
  const labels = createLabelTable()
  const run: MutableRun = {
    labels: labels.empty,
    startedAtUs: 0,
    firstChunk: 0,
    elapsedUs: 0,
    lastUs: 0,
    chunks: 0,
    signs: 0,
    gapsUs: new Int32Array(64),
    hasTokens: false,
    tokens: new Int32Array(64),
    end: null,
  }
  const result: { value: unknown; bad: DeadLetterReason | null } = { value: run, bad: null }
  return (bytes, appendMs) => {
    const writer = codec.readerOf(topic, bytes)
    if (typeof writer === 'string') result.bad = writer
    else if (writer.same) result.bad = readRun(reader, bytes!, run, labels)
    else {
      const { value, bad } = writer.read(bytes!)
      result.bad = bad ?? fillRun(run, value as TokenEvents, labels)
    }
    result.bad ??= runFault(run)
    if (result.bad === null && eventTimeUs(run) / 1000 > appendMs + futureMs) {
      result.bad = 'future_time'
    }
    result.value = result.bad === null ? run : undefined
    return result
  }
}

/** `signs` is below 0 when a gap or a count of tokens is. */
type MutableRun = { -readonly [K in keyof TokenRun]: TokenRun[K] } & { signs: number }

const STATUSES: readonly Status[] = ['ok', 'error', 'cancelled', 'truncated']
const TOKEN_SOURCES = 3

/** A record may not spread over more slices of time than this: an hour, though a request may. */
const RUN_SPAN_MAX_US = 3_600_000_000

/** Names, values and lengths of all labels of a record together. */
const LABEL_BYTES_MAX = 16 * 1024

/** Classes of errors are few and short; a message does not belong there. */
const ERROR_TYPE_LENGTH_MAX = 128

function readRun(
  reader: AvroReader,
  bytes: Uint8Array,
  run: MutableRun,
  labels: LabelTable,
): DeadLetterReason | null {
  reader.open(bytes, HEADER_BYTES)
  reader.skipBytes()
  reader.skipBytes()
  const from = reader.position()
  for (let i = 0; i < 5; i++) reader.skipBytes()
  reader.skipStringMap()
  const to = reader.position()
  run.startedAtUs = reader.long()
  run.firstChunk = reader.int()
  run.elapsedUs = reader.long()
  run.gapsUs = reader.ints(run.gapsUs)
  run.chunks = reader.totals.count
  run.lastUs = run.elapsedUs + reader.totals.sum
  run.signs = reader.totals.signs
  run.tokens = reader.ints(run.tokens)
  const tokens = reader.totals.count
  run.hasTokens = tokens > 0
  run.signs |= reader.totals.signs
  const source = reader.long()
  run.end = reader.branch(2) === 1 ? readEnd(reader) : null
  const fault = reader.fault()
  if (fault) return fault
  if (!reader.atEnd() || source < 0 || source >= TOKEN_SOURCES) return 'invalid_value'
  if (tokens !== 0 && tokens !== run.chunks) return 'invalid_value'
  if (to - from > LABEL_BYTES_MAX) return 'invalid_value'
  run.labels = labels.lookUp(bytes, from, to)
  return null
}

/** Reads all of the end, and keeps what is measured of it. */
function readEnd(reader: AvroReader): RunEnd {
  const { long, int, branch } = reader
  const status = STATUSES[branch(STATUSES.length)]!
  const error_type = reader.string()
  reader.skipBytes() // finish_reason
  const duration_us = long()
  const ttft_us = branch(2) === 1 ? long() : null
  const first_chunk_tokens = int()
  const chunks = int()
  const intended_at = branch(2) === 1 ? long() : null
  const input_tokens = branch(2) === 1 ? int() : null
  const output_tokens = branch(2) === 1 ? int() : null
  for (let i = 0; i < 2; i++) if (branch(2) === 1) int() // cached_tokens, reasoning_tokens
  int() // attempts
  if (branch(2) === 1) reader.double() // cost_usd
  const security =
    branch(2) === 1
      ? { validation_us: long(), threat_detection_us: long(), output_filter_us: long() }
      : null
  if (branch(2) === 1) {
    // speculative: draft_tokens, accepted_tokens, draft_us, round_trip_us, verify_us
    for (const read of [int, int, long, long, long]) read()
  }
  reader.skipStrings() // quality
  return {
    status,
    error_type,
    duration_us,
    ttft_us,
    first_chunk_tokens,
    chunks,
    intended_at,
    input_tokens,
    output_tokens,
    security,
  }
}

/** Fills the run from a record that avsc decoded. */
function fillRun(
  run: MutableRun,
  record: TokenEvents,
  labels: LabelTable,
): DeadLetterReason | null {
  const { gaps_us, tokens } = record
  if (tokens.length !== 0 && tokens.length !== gaps_us.length) return 'invalid_value'
  if (JSON.stringify(labelsOf(record)).length > LABEL_BYTES_MAX) return 'invalid_value'
  run.labels = labels.intern(labelsOf(record))
  run.startedAtUs = record.started_at
  run.firstChunk = record.first_chunk
  run.elapsedUs = record.elapsed_us
  run.chunks = gaps_us.length
  run.gapsUs = Int32Array.from(gaps_us)
  run.lastUs = gaps_us.reduce((sum, gap) => sum + gap, run.elapsedUs)
  run.hasTokens = tokens.length > 0
  run.tokens = Int32Array.from(tokens)
  run.signs = [...gaps_us, ...tokens].some((value) => value < 0) ? -1 : 0
  run.end = record.end
  return null
}

function labelsOf({ model, endpoint, region, tenant, provider, attributes }: TokenEvents): Labels {
  return { model, endpoint, region, tenant, provider, attributes }
}

/** The limits within which a run can be counted. */
function runFault(run: MutableRun): DeadLetterReason | null {
  const least = Math.min(run.startedAtUs, run.firstChunk, run.elapsedUs, run.signs)
  // The record that starts with chunk 0 starts at the send.
  const first = run.chunks === 0 || run.firstChunk > 0 || run.elapsedUs === 0
  const fits = run.lastUs <= VALUE_MAX && run.lastUs - run.elapsedUs <= RUN_SPAN_MAX_US
  if (least < 0 || !fits || !first) return 'invalid_value'
  return run.end && !endFits(run, run.end) ? 'invalid_value' : null
}

function endFits(run: TokenRun, end: RunEnd): boolean {
  const { ttft_us, chunks, first_chunk_tokens, intended_at, security } = end
  const { validation_us, threat_detection_us, output_filter_us } = security ?? NO_SECURITY
  return (
    isTime(end.duration_us) &&
    isTime(ttft_us ?? 0) &&
    isTime(validation_us) &&
    isTime(threat_detection_us) &&
    isTime(output_filter_us) &&
    Math.min(chunks, first_chunk_tokens, end.input_tokens ?? 0, end.output_tokens ?? 0) >= 0 &&
    end.error_type.length <= ERROR_TYPE_LENGTH_MAX &&
    (ttft_us === null || ttft_us <= run.lastUs || chunks === 0) &&
    (intended_at === null || run.startedAtUs - intended_at <= VALUE_MAX)
  )
}

const NO_SECURITY = { validation_us: 0, threat_detection_us: 0, output_filter_us: 0 }

function isTime(us: number): boolean {
  return us >= 0 && us <= VALUE_MAX / 4
}
