/** Values that are no TokenEvents, as a broken or hostile producer sends them. */
import { RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { Codec } from '../../services/bus/codec.ts'
import type { DeadLetterReason } from '../../services/core/dead-letter.ts'
import { resourceSample, tokenEvents } from '../records.ts'

export interface Malformed {
  readonly what: string
  readonly value: Buffer | null
  readonly reason: DeadLetterReason
}

/** One of each kind. `nowMs` is about the time at which they are appended. */
export function malformedRecords(codec: Codec, nowMs: number): readonly Malformed[] {
  const started_at = nowMs * 1_000
  const good = Buffer.from(codec.encode(TOKEN_EVENTS, tokenEvents({ started_at })))
  const sample = Buffer.from(codec.encode(RESOURCE_SAMPLES, resourceSample()))
  const future = tokenEvents({ started_at: started_at + 600e6 })
  // An empty record ends with: no gaps, no tokens, the source of tokens, no end.
  const empty = Buffer.from(codec.encode(TOKEN_EVENTS, tokenEvents({ started_at, gaps_us: [] })))
  const claim = Buffer.of(0x80, 0x88, 0xde, 0xbe, 0x01)
  return [
    { what: 'no magic byte', value: Buffer.from('{"request_id":"r-1"}'), reason: 'bad_magic' },
    { what: 'three bytes', value: Buffer.of(0, 0, 0), reason: 'bad_magic' },
    { what: 'an unknown id', value: underId(good, 0x7fffffff), reason: 'unknown_schema' },
    { what: 'an id of 32 bits', value: underId(good, 0xffffffff), reason: 'unknown_schema' },
    { what: 'truncated', value: good.subarray(0, -3), reason: 'truncated' },
    {
      what: '200 million claimed gaps',
      value: Buffer.concat([empty.subarray(0, -4), claim]),
      reason: 'truncated',
    },
    {
      what: 'another record under our id',
      value: Buffer.concat([good.subarray(0, 5), sample.subarray(5)]),
      reason: 'truncated',
    },
    { what: 'the id of another topic', value: sample, reason: 'wrong_schema' },
    { what: 'bytes behind the end', value: Buffer.concat([good, good]), reason: 'invalid_value' },
    { what: '2 MB', value: Buffer.alloc(2_000_000, good), reason: 'too_large' },
    { what: 'no value', value: null, reason: 'empty' },
    {
      what: 'ten minutes ahead',
      value: Buffer.from(codec.encode(TOKEN_EVENTS, future)),
      reason: 'future_time',
    },
  ]
}

function underId(bytes: Buffer, id: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt32BE(id, 1)
  return copy
}
