import type { Closing, SliceGauge, WindowSlice } from '../../schemas/records.ts'
import { WINDOW_SLICES } from '../../schemas/topics.ts'
import type { DeadLetterReason } from '../core/dead-letter.ts'
import { assert } from '../core/errors.ts'
import { BUCKET_END } from '../core/histogram/bucket.ts'
import { cover, type Distribution, expectMore } from '../core/histogram/distribution.ts'
import { addExact } from '../core/histogram/exact-sum.ts'
import { MEASURES } from '../core/measure/measures.ts'
import { mergeEncodedGauge } from '../core/windows/gauge.ts'
import { type Series, seriesOf } from '../core/windows/series.ts'
import { addErrors, distributionOf, gaugeOf, type SeriesAggregate } from '../core/windows/slice.ts'
import type { SliceRecord, SliceTarget } from '../core/windows/slice-record.ts'
import { createAvroReader, stringEntries } from './avro-reader.ts'
import { createByteTable } from './byte-table.ts'
import { bad, type Codec, type DecodeResult, type Decoder, HEADER_BYTES } from './codec.ts'

const reader = createAvroReader()
const { long, longs, int, double, branch, string, skipBytes, blocks } = reader

const names = createAvroReader()
const topics = createByteTable('source_topics', readTopic)
const allSeries = createByteTable('series', readSeries)

/**
 * The decoder of statistics, which reads a quarter of an hour of slices again whenever it starts:
 * nothing is made of the counts in a record before they are merged. What another version of the
 * schema wrote is read by avsc and written anew.
 *
 * layout  source_topic source_partition from to | series? | slices[] | closing?
 */
export function createSliceDecoder(codec: Codec): Decoder {
  const readerOf = codec.readersOf(WINDOW_SLICES)
  return (bytes) => {
    const writer = readerOf(bytes)
    if (typeof writer === 'string') return bad(writer)
    if (writer.same) return readSliceRecord(bytes!)
    const { value, bad: reason } = writer.read(bytes!)
    return reason ? bad(reason) : readSliceRecord(codec.encode(WINDOW_SLICES, value as WindowSlice))
  }
}

/** What is wrong with the record that is read, beside its Avro. */
let fault: DeadLetterReason | null = null
let firstMs = Number.NaN

/** The record behind the header of the wire format, or what is wrong with it. */
export function readSliceRecord(bytes: Uint8Array): DecodeResult {
  reader.open(bytes, HEADER_BYTES)
  fault = null
  skipBytes()
  const topicEnd = reader.position()
  const source_partition = int()
  const from = long()
  const to = long()
  const hasSeries = branch(2) === 1
  const seriesAt = reader.position()
  if (hasSeries) reader.skipStringMap()
  const slicesAt = reader.position()
  readSlices(check)
  const slicesEnd = reader.position()
  const closing = branch(2) === 1 ? readClosing() : null
  fault ??= reader.fault()
  if (fault) return bad(fault)
  if (!reader.atEnd() || hasSeries === (closing !== null)) return bad('invalid_value')
  const source_topic = topics.lookUp(bytes, HEADER_BYTES, topicEnd)
  const series = hasSeries ? allSeries.lookUp(bytes, seriesAt, slicesAt) : null
  // A copy: a range that waits for its end would keep the whole fetch.
  const slices = Buffer.from(bytes.subarray(slicesAt, slicesEnd))
  const place = { source_topic, source_partition, from, to }
  return { value: { ...place, series, firstMs, slices, closing } satisfies SliceRecord, bad: null }
}

/** Adds the slices of a record, one after the other. Measures of a newer table are left out. */
export function mergeSlices({ slices }: SliceRecord, into: SliceTarget): void {
  reader.open(slices, 0)
  readSlices(into)
  targetOf = check
  assert(reader.fault() === null && reader.atEnd(), 'slices that were checked could not be read')
}

const check: SliceTarget = (startMs) => {
  if (Number.isNaN(firstMs)) firstMs = startMs
  return null
}

/** Of the slice that is read. */
let targetOf: SliceTarget = check
let target: SeriesAggregate | null = null
let metric: Distribution | null = null
let offset = 0

function readSlices(into: SliceTarget): void {
  targetOf = into
  firstMs = Number.NaN
  blocks(slicesIn)
}

function slicesIn(items: number): void {
  for (let i = 0; i < items && reader.fault() === null; i++) readSlice()
}

function readSlice(): void {
  const startMs = long()
  const requests = long()
  target = targetOf(startMs, requests)
  if (target) {
    target.requests += requests
    target.errors += long()
    target.cancelled += long()
    blocks(errorsIn)
    target.chunks += long()
    target.inputTokens += long()
    target.outputTokens += long()
  } else {
    longs(2, null, 0)
    blocks(errorsIn)
    longs(3, null, 0)
  }
  blocks(metricsIn)
  blocks(gaugesIn)
}

function errorsIn(items: number): void {
  for (let i = 0; i < items; i++) {
    if (target) addErrors(target, string(), long())
    else {
      skipBytes()
      long()
    }
  }
}

function metricsIn(items: number): void {
  for (let i = 0; i < items && reader.fault() === null; i++) {
    const id = int()
    if (id < 0) fault ??= 'invalid_value'
    metric = target && id < MEASURES.length ? distributionOf(target, id) : null
    if (metric) addMetric(metric)
    else longs(8, null, 0)
    offset = int()
    blocks(countsIn)
  }
}

function addMetric(into: Distribution): void {
  const { sum, squares } = into
  const count = long()
  expectMore(into, count)
  into.count += count
  into.zeroCount += long()
  sum.high += long()
  addExact(sum, long())
  squares.high += long()
  addExact(squares, long())
  into.min = Math.min(into.min, long())
  into.max = Math.max(into.max, long())
}

function countsIn(items: number): void {
  const end = offset + items
  if (metric) {
    cover(metric, offset, end)
    longs(items, metric.counts, offset - metric.offset)
  } else {
    longs(items, null, 0)
    if (offset < -1 || end > BUCKET_END) fault ??= 'invalid_value'
  }
  offset = end
}

function gaugesIn(items: number): void {
  for (let i = 0; i < items; i++) {
    if (target === null) skipBytes()
    const gauge = { name: target ? string() : '', ...readGauge() }
    if (target) mergeEncodedGauge(gaugeOf(target, gauge.name), gauge)
  }
}

function readGauge(): Omit<SliceGauge, 'name'> {
  const [count, sum_high, sum_low] = [long(), long(), long()]
  const [min, max, last] = [double(), double(), double()]
  return { count, sum_high, sum_low, min, max, last, last_at: long() }
}

function readClosing(): Closing {
  return {
    series_count: int(),
    records: int(),
    dead_letters: int(),
    watermark: long(),
    event_watermark: long(),
    complete_ms: long(),
    source_partitions: int(),
    on_behalf: readBoolean(),
  }
}

/** One byte, as small as any long that is no more. */
function readBoolean(): boolean {
  const end = reader.position() + 1
  const value = long() !== 0
  if (reader.position() !== end) fault ??= 'invalid_value'
  return value
}

function readTopic(bytes: Uint8Array, from: number): string {
  names.open(bytes, from)
  return names.string()
}

function readSeries(bytes: Uint8Array, from: number): Series {
  names.open(bytes, from)
  return seriesOf(Object.fromEntries(stringEntries(names)))
}
