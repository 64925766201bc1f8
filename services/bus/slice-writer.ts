import type { Closing, SliceGauge } from '../../schemas/records.ts'
import type { EncodedDistribution } from '../core/histogram/distribution.ts'
import type { EncodedSlice, EncodedWindowSlice } from '../core/windows/slice.ts'
import type { AvroWriter } from './avro-writer.ts'

/**
 * The writer of what windowing publishes: nine of ten of its bytes are counts of buckets, for each
 * of which avsc calls a function. The bytes are those that avsc gives.
 */
export function createSliceWriter(writer: AvroWriter): (record: EncodedWindowSlice) => void {
  const { long, longs, block, double, boolean, string } = writer

  function text([name, value]: readonly [string, string]): void {
    string(name)
    string(value)
  }

  function count([name, times]: readonly [string, number]): void {
    string(name)
    long(times)
  }

  function metric(from: EncodedDistribution): void {
    long(from.id)
    long(from.count)
    long(from.zero_count)
    long(from.sum_high)
    long(from.sum_low)
    long(from.squares_high)
    long(from.squares_low)
    long(from.min)
    long(from.max)
    long(from.offset)
    longs(from.counts)
  }

  function gauge(from: SliceGauge): void {
    string(from.name)
    long(from.count)
    long(from.sum_high)
    long(from.sum_low)
    double(from.min)
    double(from.max)
    double(from.last)
    long(from.last_at)
  }

  function slice(from: EncodedSlice): void {
    long(from.start)
    long(from.requests)
    long(from.errors)
    long(from.cancelled)
    block(Object.entries(from.errors_by_type), count)
    long(from.chunks)
    long(from.input_tokens)
    long(from.output_tokens)
    block(from.metrics, metric)
    block(from.gauges, gauge)
  }

  function closing(from: Closing): void {
    long(from.series_count)
    long(from.records)
    long(from.dead_letters)
    long(from.watermark)
    long(from.event_watermark)
    long(from.complete_ms)
    long(from.source_partitions)
    boolean(from.on_behalf)
  }

  return (record) => {
    string(record.source_topic)
    long(record.source_partition)
    long(record.from)
    long(record.to)
    long(record.series ? 1 : 0)
    if (record.series) block(Object.entries(record.series), text)
    block(record.slices, slice)
    long(record.closing ? 1 : 0)
    if (record.closing) closing(record.closing)
  }
}
