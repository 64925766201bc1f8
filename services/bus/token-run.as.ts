/**
 * Reads an Avro record of TokenEvents in one pass. What is not plain is only refused here: avsc
 * reads it, or says what it lacks. AssemblyScript: `npm run generate` compiles it to .wasm.ts.
 *
 * layout  request_id source | provider model endpoint region tenant attributes | started_at
 *         first_chunk elapsed_us gaps_us[] tokens[] token_source end?
 */
// The tables of avro.as.ts, then the record, what was read of it, and the index of labels.
// pages: 744
import {
  branch,
  int,
  ints,
  isDone,
  items,
  length,
  long,
  open,
  position,
  signs,
  skip,
  skipBytes,
  sum,
} from './avro.as'
import { find } from './label-index.as'

export { addLabels, forgetLabels, hash, LABELS_BYTES_MAX, LABELS_MAX } from './label-index.as'

/** Where the caller puts a record of at most RECORD_BYTES_MAX bytes, and finds what was read. */
export const RECORD: i32 = 0x100000
export const RECORD_BYTES_MAX: i32 = 0x100000
export const GAPS: i32 = 0x300000
export const TOKENS: i32 = 0x700000
/**
 * i32: number of the labels or -1, their start and end | first_chunk chunks tokens signs | whether
 * there is an end, status, start and end of error_type, first_chunk_tokens, chunks
 */
export const INTS: i32 = 0x20000
/** f64: started_at elapsed last | duration ttft intended input output | the three of security */
export const DOUBLES: i32 = 0x20100

const NULL: f64 = NaN

/** Reads the record that begins at `start` of `size` bytes; false when it is not plain. */
export function read(start: i32, size: i32): bool {
  open(RECORD + start, size - start)
  skip() // request_id
  skip() // source
  const labels = position()
  for (let i = 0; i < 5; i++) skip()
  for (let entries = items(); entries > 0; entries = items()) {
    for (let i = 0; i < 2 * entries; i++) skip()
  }
  setInt(0, find(labels, position() - labels))
  setInt(1, labels - RECORD)
  setInt(2, position() - RECORD)
  setDouble(0, <f64>long())
  setInt(3, int())
  const elapsedUs = long()
  setDouble(1, <f64>elapsedUs)
  setInt(4, ints(GAPS))
  setDouble(2, <f64>(elapsedUs + sum))
  const gapSigns = signs
  setInt(5, ints(TOKENS))
  setInt(6, gapSigns | signs)
  branch(3) // token_source
  const hasEnd = branch(2)
  setInt(7, hasEnd)
  if (hasEnd) readEnd()
  return isDone()
}

function readEnd(): void {
  setInt(8, branch(4)) // status
  const errorSize = length()
  setInt(9, position() - RECORD)
  skipBytes(errorSize)
  setInt(10, position() - RECORD)
  skip() // finish_reason
  setDouble(3, <f64>long()) // duration_us
  setDouble(4, branch(2) ? <f64>long() : NULL) // ttft_us
  setInt(11, int()) // first_chunk_tokens
  setInt(12, int()) // chunks
  setDouble(5, branch(2) ? <f64>long() : NULL) // intended_at
  setDouble(6, branch(2) ? <f64>int() : NULL) // input_tokens
  setDouble(7, branch(2) ? <f64>int() : NULL) // output_tokens
  if (branch(2)) int() // cached_tokens
  if (branch(2)) int() // reasoning_tokens
  int() // attempts
  if (branch(2)) skipBytes(8) // cost_usd
  const hasSecurity = branch(2)
  for (let i = 8; i < 11; i++) setDouble(i, hasSecurity ? <f64>long() : NULL)
  if (branch(2)) {
    // speculative: draft_tokens, accepted_tokens, draft_us, round_trip_us, verify_us
    int()
    int()
    for (let i = 0; i < 3; i++) long()
  }
  for (let names = items(); names > 0; names = items()) {
    for (let i = 0; i < names; i++) skip() // quality
  }
}

function setInt(field: i32, value: i32): void {
  store<i32>(INTS + 4 * field, value)
}

function setDouble(field: i32, value: f64): void {
  store<f64>(DOUBLES + 8 * field, value)
}
