import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { HrTime } from '@opentelemetry/api'
import type { ExponentialHistogram } from '@opentelemetry/sdk-metrics'
import { type Exemplar, type Family, type FamilyPoint, labelName } from './prometheus.ts'

/** Field numbers of io.prometheus.client, metrics.proto. */
const FAMILY = { name: 1, help: 2, type: 3, metric: 4, unit: 5 }
const METRIC = { label: 1, gauge: 2, counter: 3, histogram: 7 }
const LABEL = { name: 1, value: 2 }
const GAUGE = { value: 1 }
const COUNTER = { value: 1, createdTimestamp: 3 }
const HISTOGRAM = {
  ...{ sampleCount: 1, sampleSum: 2, schema: 5, zeroThreshold: 6, zeroCount: 7 },
  ...{ positiveSpan: 12, positiveDelta: 13, createdTimestamp: 15, exemplars: 16 },
}
const EXEMPLAR = { label: 1, value: 2, timestamp: 3 }
const SPAN = { offset: 1, length: 2 }
const TIMESTAMP = { seconds: 1, nanos: 2 }
const TYPES = { counter: 0, gauge: 1, histogram: 4 }

/** What Prometheus' own clients have: so small that only zero is below it. */
const ZERO_THRESHOLD = 2 ** -128

/** Families as a scrape in Protobuf, with native histograms: each behind its length. */
export function prometheusProtobuf(families: readonly Family[]): Uint8Array {
  const writer = new BinaryWriter()
  for (const { name, help, kind, points } of families) {
    writer.fork()
    text(writer, FAMILY.name, name)
    text(writer, FAMILY.help, help)
    writer.tag(FAMILY.type, WireType.Varint).int32(TYPES[kind])
    for (const point of points) writeMetric(writer, point, kind)
    if (name.endsWith('_seconds')) text(writer, FAMILY.unit, 'seconds')
    writer.join()
  }
  return writer.finish()
}

function writeMetric(writer: BinaryWriter, point: FamilyPoint, kind: Family['kind']): void {
  const { attributes, startTime, value, exemplars } = point
  writer.tag(FAMILY.metric, WireType.LengthDelimited).fork()
  for (const [name, label] of Object.entries(attributes)) {
    labelPair(writer, METRIC.label, labelName(name), String(label))
  }
  if (typeof value !== 'number') {
    writer.tag(METRIC.histogram, WireType.LengthDelimited).fork()
    writeHistogram(writer, value)
    timestamp(writer, HISTOGRAM.createdTimestamp, startTime)
    for (const exemplar of exemplars) writeExemplar(writer, exemplar)
  } else if (kind === 'gauge') {
    writer.tag(METRIC.gauge, WireType.LengthDelimited).fork()
    writer.tag(GAUGE.value, WireType.Bit64).double(value)
  } else {
    writer.tag(METRIC.counter, WireType.LengthDelimited).fork()
    writer.tag(COUNTER.value, WireType.Bit64).double(value)
    timestamp(writer, COUNTER.createdTimestamp, startTime)
  }
  writer.join().join()
}

function writeExemplar(writer: BinaryWriter, { requestId, value, timeMs }: Exemplar): void {
  writer.tag(HISTOGRAM.exemplars, WireType.LengthDelimited).fork()
  labelPair(writer, EXEMPLAR.label, 'request_id', requestId)
  writer.tag(EXEMPLAR.value, WireType.Bit64).double(value)
  const seconds = Math.floor(timeMs / 1000)
  timestamp(writer, EXEMPLAR.timestamp, [seconds, Math.floor((timeMs % 1000) * 1e6)])
  writer.join()
}

function labelPair(writer: BinaryWriter, field: number, name: string, value: string): void {
  writer.tag(field, WireType.LengthDelimited).fork()
  text(writer, LABEL.name, name)
  text(writer, LABEL.value, value)
  writer.join()
}

/**
 * Bucket i of OTLP ends at base^(i + 1), where Prometheus says that bucket i ends at base^i: theirs
 * is one more. Counts are said as differences, each to the one before.
 */
function writeHistogram(writer: BinaryWriter, histogram: ExponentialHistogram): void {
  const { count, sum, scale, zeroCount, positive } = histogram
  const { offset, bucketCounts } = positive
  writer.tag(HISTOGRAM.sampleCount, WireType.Varint).uint64(count)
  writer.tag(HISTOGRAM.sampleSum, WireType.Bit64).double(sum!)
  writer.tag(HISTOGRAM.schema, WireType.Varint).sint32(scale)
  writer.tag(HISTOGRAM.zeroThreshold, WireType.Bit64).double(ZERO_THRESHOLD)
  writer.tag(HISTOGRAM.zeroCount, WireType.Varint).uint64(zeroCount)
  if (bucketCounts.length === 0) return
  writer.tag(HISTOGRAM.positiveSpan, WireType.LengthDelimited).fork()
  writer.tag(SPAN.offset, WireType.Varint).sint32(offset + 1)
  writer.tag(SPAN.length, WireType.Varint).uint32(bucketCounts.length)
  writer.join()
  writer.tag(HISTOGRAM.positiveDelta, WireType.LengthDelimited).fork()
  let before = 0
  for (const bucket of bucketCounts) {
    writer.sint64(bucket - before)
    before = bucket
  }
  writer.join()
}

function timestamp(writer: BinaryWriter, field: number, [seconds, nanos]: HrTime): void {
  writer.tag(field, WireType.LengthDelimited).fork()
  writer.tag(TIMESTAMP.seconds, WireType.Varint).int64(seconds)
  writer.tag(TIMESTAMP.nanos, WireType.Varint).int32(nanos)
  writer.join()
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value)
}
