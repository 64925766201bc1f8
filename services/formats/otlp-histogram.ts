import type { ExponentialHistogram } from '@opentelemetry/sdk-metrics'
import type { Distribution } from '../../schemas/records.ts'

const MICROSECONDS = 1e6

/**
 * How far a bucket index moves when its values, in microseconds, become seconds.
 *
 * Bucket i holds the logarithms (i, i + 1], in units of log2(base) = 2^-scale, and its logarithmic
 * middle is i + 1/2. A division by 10^6 subtracts D = 2^scale * log2(10^6), at scale 6 D = 1275.62,
 * which is no whole number of buckets. All counts of a bucket go where its middle goes, to bucket
 * floor(i + 1/2 - D), that is i - 1276 at scale 6: no count is split, lost or invented.
 *
 *   microseconds      |---- i ----|                       true seconds (i - 1275.62, i - 1274.62]
 *   seconds        |-- i - 1276 --|                       counted as   (i - 1276.00, i - 1275.00]
 *
 * The shift misses D by |floor(1/2 - D) + D| <= 1/2 bucket (0.38 at scale 6). A reader that takes
 * the middle of a bucket was wrong by half a bucket at most (0.54 %), and is by 1/2 + 0.38 = 0.88
 * buckets now: at most 2^(0.88/64) - 1 = 0.96 %. A value lies in the bucket that counts it or in
 * the one above.
 */
export function secondsShift(scale: number): number {
  return Math.floor(0.5 - 2 ** scale * Math.log2(MICROSECONDS))
}

/** A distribution of microseconds as an OTLP exponential histogram of seconds. */
export function secondsHistogram(distribution: Distribution): ExponentialHistogram {
  const { count, sum, min, max, histogram } = distribution
  return {
    count,
    sum: sum / MICROSECONDS,
    min: min / MICROSECONDS,
    max: max / MICROSECONDS,
    scale: histogram.scale,
    zeroCount: histogram.zero_count,
    positive: {
      offset: histogram.counts.length === 0 ? 0 : histogram.offset + secondsShift(histogram.scale),
      bucketCounts: [...histogram.counts],
    },
    negative: { offset: 0, bucketCounts: [] },
  }
}
