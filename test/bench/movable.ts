/** Encoded records that can be moved in time: encoding each anew costs more than sending it. */
import type { TokenEvents } from '../../schemas/records.ts'
import { createAvroReader } from '../../services/bus/avro-reader.ts'
import { HEADER_BYTES } from '../../services/bus/codec.ts'

export interface Movable {
  readonly value: Uint8Array
  readonly startedUs: number
  /** From the start to the last thing that the record tells. */
  readonly spanUs: number
  /** Where started_at lies in the value. */
  readonly at: number
}

/** The record with where its start is written. */
export function movable(value: Uint8Array, record: TokenEvents): Movable {
  const reader = createAvroReader()
  reader.open(value, HEADER_BYTES)
  for (let i = 0; i < 7; i++) reader.skipBytes()
  reader.skipStringMap()
  const { started_at: startedUs, elapsed_us, gaps_us, end } = record
  const lastUs = gaps_us.reduce((sum, gap) => sum + gap, elapsed_us)
  return { value, startedUs, spanUs: end?.duration_us ?? lastUs, at: reader.position() }
}

/** A copy that began at another instant. */
export function movedTo({ value, at }: Movable, startedUs: number): Buffer {
  const own = Buffer.from(value)
  writeLong(own, at, startedUs)
  return own
}

/** Every instant of this century takes eight bytes, in microseconds. */
function writeLong(into: Buffer, at: number, value: number): void {
  let rest = value * 2
  for (let i = 0; i < 7; i++) {
    into[at + i] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  into[at + 7] = rest
}
