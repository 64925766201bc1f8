/** Aggregates with anything in them, as the observations that they are made from. */

import { readFileSync } from 'node:fs'
import avro from 'avsc'
import fc from 'fast-check'
import type { Slice } from '../../../../schemas/records.ts'
import { MEASURES } from '../../../../services/core/measure/measures.ts'
import { addReading } from '../../../../services/core/windows/gauge.ts'
import {
  addErrors,
  addMeasure,
  createAggregate,
  gaugeOf,
  mergeAggregate,
  type SeriesAggregate,
} from '../../../../services/core/windows/slice.ts'

/** One thing that is counted into an aggregate. */
export type Counted =
  | {
      readonly kind: 'measure'
      readonly id: number
      readonly value: number
      readonly times: number
    }
  | { readonly kind: 'reading'; readonly name: string; readonly value: number; readonly at: number }
  | { readonly kind: 'error'; readonly type: string; readonly times: number }
  | { readonly kind: 'request'; readonly counts: readonly number[] }

const times = fc.integer({ min: 1, max: 20 })
const anyMeasure = fc.record({
  kind: fc.constant('measure' as const),
  id: fc.nat(MEASURES.length - 1),
  value: fc.oneof(fc.nat(100), fc.integer({ min: 0, max: 2 ** 40 })),
  times,
})
/** Readings of either sign; -0, which has its own test, is taken as 0. */
const anyValue = fc
  .oneof(fc.integer({ min: -9, max: 9 }), fc.double({ min: -1e9, max: 1e9, noNaN: true }))
  .map((value) => value + 0)
const anyReading = fc.record({
  kind: fc.constant('reading' as const),
  name: fc.constantFrom('gpu_utilization', 'requests_waiting', 'kv_cache_usage'),
  value: anyValue,
  at: fc.nat(5),
})
const anyError = fc.record({
  kind: fc.constant('error' as const),
  type: fc.constantFrom('http_429', 'timeout', 'other', 'truncated'),
  times,
})
const anyCounts = fc.record({
  kind: fc.constant('request' as const),
  counts: fc.array(fc.nat(9), { minLength: 6, maxLength: 6 }),
})

/** Up to 25 observations of every kind. */
export const anyCounted: fc.Arbitrary<Counted[]> = fc.array(
  fc.oneof(anyMeasure, anyReading, anyError, anyCounts),
  { maxLength: 25 },
)

function count(target: SeriesAggregate, one: Counted): void {
  if (one.kind === 'measure') addMeasure(target, MEASURES[one.id]!, one.value, one.times)
  if (one.kind === 'reading') addReading(gaugeOf(target, one.name), one.value, one.at)
  if (one.kind === 'error') addErrors(target, one.type, one.times)
  if (one.kind === 'request') {
    const [requests, errors, cancelled, chunks, inputTokens, outputTokens] = one.counts
    target.requests += requests!
    target.errors += errors!
    target.cancelled += cancelled!
    target.chunks += chunks!
    target.inputTokens += inputTokens!
    target.outputTokens += outputTokens!
  }
}

/** The aggregate of the observations. */
export function aggregateOf(all: readonly Counted[]): SeriesAggregate {
  const target = createAggregate()
  for (const one of all) count(target, one)
  return target
}

/** Aggregates merged one after the other into an empty one. */
export function mergeAll(...parts: readonly SeriesAggregate[]): SeriesAggregate {
  const target = createAggregate()
  for (const part of parts) mergeAggregate(target, part)
  return target
}

const SCHEMA = new URL('../../../../schemas/avro/window-slice.avsc', import.meta.url)
const windowSlice = avro.Type.forSchema(JSON.parse(readFileSync(SCHEMA, 'utf8')))

/** The slice as it travels, in hexadecimal: what design §3 promises to be the same bytes. */
export function bytesOf(slice: Slice): string {
  const place = { source_topic: '', source_partition: 0, from: 0, to: 0, series: null }
  const record = { ...place, slices: [slice], closing: null }
  return windowSlice.toBuffer(record).toString('hex')
}

/** The slice after its way over the wire. */
export function overTheWire(slice: Slice): Slice {
  return windowSlice.fromBuffer(Buffer.from(bytesOf(slice), 'hex')).slices[0]
}
