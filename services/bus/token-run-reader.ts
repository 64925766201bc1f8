import type { Status } from '../../schemas/records.ts'
import { assert } from '../core/errors.ts'
import type { RunEnd, TokenRun } from '../core/measure/token-run.ts'
import { instantiate, type WasmConstant } from '../core/wasm.ts'
import { bufferOf } from './avro-reader.ts'
import { BYTES_MAX, ENTRIES_MAX } from './byte-table.ts'
import { HEADER_BYTES } from './codec.ts'
import { createLabelTable, type LabelTable } from './label-table.ts'
import { CODE } from './token-run.wasm.ts'

/** What was read of a record; nobody has looked yet whether it can be counted. */
export interface UncheckedRun extends TokenRun {
  /** Below 0 when a gap or a count of tokens is. */
  signs: number
}

/** Names, values and lengths of all labels of a record together. */
export const LABEL_BYTES_MAX = 16 * 1024

/** What token-run.as.ts exports. */
interface Exports {
  readonly RECORD: WasmConstant
  readonly RECORD_BYTES_MAX: WasmConstant
  readonly GAPS: WasmConstant
  readonly TOKENS: WasmConstant
  readonly INTS: WasmConstant
  readonly DOUBLES: WasmConstant
  readonly LABELS_MAX: WasmConstant
  readonly LABELS_BYTES_MAX: WasmConstant
  read(start: number, size: number): number
  addLabels(): number
  forgetLabels(): void
}

const wasm = instantiate<Exports>(CODE)
const { buffer } = wasm.memory
const bytesMax = wasm.RECORD_BYTES_MAX.value
const record = new Uint8Array(buffer, wasm.RECORD.value, bytesMax)
const gapsUs = new Int32Array(buffer, wasm.GAPS.value, bytesMax)
const tokens = new Int32Array(buffer, wasm.TOKENS.value, bytesMax)
const ints = new Int32Array(buffer, wasm.INTS.value, 13)
const doubles = new Float64Array(buffer, wasm.DOUBLES.value, 11)

const hasRoom = wasm.LABELS_MAX.value >= ENTRIES_MAX && wasm.LABELS_BYTES_MAX.value >= BYTES_MAX
assert(hasRoom, 'label-index.as.ts has room for fewer labels than the table may hold')
// Those of the record that was read last have been looked for already.
const labels = createLabelTable({
  find: () => ints[0]!,
  add: wasm.addLabels,
  clear: wasm.forgetLabels,
})

/** The labels of the records of all topics and partitions. */
export const LABELS: Pick<LabelTable, 'empty' | 'intern'> = labels

const STATUSES: readonly Status[] = ['ok', 'error', 'cancelled', 'truncated']

/**
 * Reads a record, with its header, into the run: the fields in the order of token-run.as.ts. The
 * arrays are the same for all runs, until the next is read. False when the record is not plain; the
 * run is then no run.
 */
export function readRun(bytes: Uint8Array, run: UncheckedRun): boolean {
  if (bytes.length > bytesMax) return false
  record.set(bytes)
  if (wasm.read(HEADER_BYTES, bytes.length) === 0) return false
  const from = ints[1]!
  const to = ints[2]!
  const chunks = ints[4]!
  const counted = ints[5]!
  if (to - from > LABEL_BYTES_MAX || (counted !== 0 && counted !== chunks)) return false
  run.labels = labels.lookUp(bytes, from, to)
  run.startedAtUs = doubles[0]!
  run.firstChunk = ints[3]!
  run.elapsedUs = doubles[1]!
  run.lastUs = doubles[2]!
  run.chunks = chunks
  run.gapsUs = gapsUs
  run.hasTokens = counted > 0
  run.tokens = tokens
  run.signs = ints[6]!
  run.end = ints[7] === 0 ? null : endOf(bytes)
  return true
}

function endOf(bytes: Uint8Array): RunEnd {
  const [from, to] = [ints[9]!, ints[10]!]
  const hasSecurity = !Number.isNaN(doubles[8]!)
  return {
    status: STATUSES[ints[8]!]!,
    error_type: from === to ? '' : bufferOf(bytes).toString('utf8', from, to),
    duration_us: doubles[3]!,
    ttft_us: orNull(doubles[4]!),
    first_chunk_tokens: ints[11]!,
    chunks: ints[12]!,
    intended_at: orNull(doubles[5]!),
    input_tokens: orNull(doubles[6]!),
    output_tokens: orNull(doubles[7]!),
    security: hasSecurity
      ? {
          validation_us: doubles[8]!,
          threat_detection_us: doubles[9]!,
          output_filter_us: doubles[10]!,
        }
      : null,
  }
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value
}
