import {
  beginPacking,
  mergePackedDistribution,
  type PackedReader,
  packDistribution,
  packInteger,
  readInteger,
  takePacked,
} from '../histogram/packed.ts'
import {
  distributionOf,
  forEachMetric,
  type Labelled,
  mergeLabelled,
  type SeriesAggregate,
} from './slice.ts'

/**
 * An aggregate at rest: some hundred bytes, where one that can be counted into takes ten thousand.
 * Errors and gauges are few and stay as they are.
 */
export interface PackedAggregate extends Labelled {
  readonly bytes: Uint8Array
}

const NONE = new Map<string, never>()

/**
 * The same aggregate, packed; `source` must not be counted into any more. With `isOneOfMany` its bytes
 * are kept as long as those of any that is packed next to it.
 */
export function packAggregate(source: SeriesAggregate, isOneOfMany: boolean): PackedAggregate {
  const { errorsByType, gauges } = source
  beginPacking()
  packInteger(source.requests)
  packInteger(source.errors)
  packInteger(source.cancelled)
  packInteger(source.chunks)
  packInteger(source.inputTokens)
  packInteger(source.outputTokens)
  forEachMetric(source, (id, distribution) => {
    packInteger(id)
    packDistribution(distribution)
  })
  return {
    bytes: takePacked(isOneOfMany),
    errorsByType: errorsByType.size === 0 ? NONE : errorsByType,
    gauges: gauges.size === 0 ? NONE : gauges,
  }
}

/** Adds a packed aggregate into `target`. */
export function mergePacked(target: SeriesAggregate, packed: PackedAggregate): void {
  const reader: PackedReader = { bytes: packed.bytes, at: 0 }
  target.requests += readInteger(reader)
  target.errors += readInteger(reader)
  target.cancelled += readInteger(reader)
  target.chunks += readInteger(reader)
  target.inputTokens += readInteger(reader)
  target.outputTokens += readInteger(reader)
  while (reader.at < packed.bytes.length) {
    mergePackedDistribution(distributionOf(target, readInteger(reader)), reader)
  }
  mergeLabelled(target, packed)
}
