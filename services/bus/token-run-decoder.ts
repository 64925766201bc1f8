import type { TokenEvents } from '../../schemas/records.ts'
import type { DeadLetterReason } from '../core/dead-letter.ts'
import { VALUE_MAX } from '../core/histogram/distribution.ts'
import type { Labels } from '../core/measure/labels.ts'
import type { RunEnd, TokenRun } from '../core/measure/token-run.ts'
import { eventTimeUs } from '../core/windows/fold.ts'
import type { Codec, Decoder } from './codec.ts'
import { varintSize } from './record-batch-writer.ts'
import { LABEL_BYTES_MAX, LABELS, readRun, type UncheckedRun } from './token-run-reader.ts'

/**
 * The decoder of the inner loop: TokenEvents, from bytes into one reused TokenRun. No object or
 * string per token; labels are looked up by their bytes. Records that another version of the schema
 * wrote, or that are not plain, take the way through avsc.
 */
export function createTokenRunDecoder(codec: Codec, topic: string, futureMs: number): Decoder {
  const readerOf = codec.readersOf(topic)
  const run: UncheckedRun = {
    labels: LABELS.empty,
    startedAtUs: 0,
    firstChunk: 0,
    elapsedUs: 0,
    lastUs: 0,
    chunks: 0,
    signs: 0,
    gapsUs: new Int32Array(0),
    hasTokens: false,
    tokens: new Int32Array(0),
    end: null,
  }
  const result: { value: unknown; bad: DeadLetterReason | null } = { value: run, bad: null }
  return (bytes, appendMs) => {
    const writer = readerOf(bytes)
    if (typeof writer === 'string') result.bad = writer
    else if (writer.same && readRun(bytes!, run)) result.bad = null
    else {
      const { value, bad } = writer.read(bytes!)
      result.bad = bad ?? fillRun(run, value as TokenEvents)
    }
    result.bad ??= runFault(run)
    if (result.bad === null && eventTimeUs(run) / 1000 > appendMs + futureMs) {
      result.bad = 'future_time'
    }
    result.value = result.bad === null ? run : undefined
    return result
  }
}

/** A record may not spread over more slices of time than this: an hour, though a request may. */
const RUN_SPAN_MAX_US = 3_600_000_000

/** Classes of errors are few and short; a message does not belong there. */
const ERROR_TYPE_LENGTH_MAX = 128

/** Fills the run from a record that avsc decoded. */
function fillRun(run: UncheckedRun, record: TokenEvents): DeadLetterReason | null {
  const { gaps_us, tokens } = record
  if (tokens.length !== 0 && tokens.length !== gaps_us.length) return 'invalid_value'
  if (labelBytes(labelsOf(record)) > LABEL_BYTES_MAX) return 'invalid_value'
  run.labels = LABELS.intern(labelsOf(record))
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

/** The bytes of labels in a record: texts behind their lengths, attributes as one block. */
function labelBytes({ model, endpoint, region, tenant, provider, attributes }: Labels): number {
  const texts = [provider, model, endpoint, region, tenant, ...Object.entries(attributes).flat()]
  const sizes = texts.map((text) => Buffer.byteLength(text))
  const bytes = sizes.reduce((sum, size) => sum + size + varintSize(size), 0)
  const count = Object.keys(attributes).length
  return bytes + (count > 0 ? varintSize(count) : 0) + 1
}

function labelsOf({ model, endpoint, region, tenant, provider, attributes }: TokenEvents): Labels {
  return { model, endpoint, region, tenant, provider, attributes }
}

/** The limits within which a run can be counted. */
function runFault(run: UncheckedRun): DeadLetterReason | null {
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
