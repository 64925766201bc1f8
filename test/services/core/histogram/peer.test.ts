/**
 * The histogram beside the npm package `tdigest` on the same values: how far each lies from the
 * exact quantiles. The digest draws from Math.random, which is seeded for the time of the test.
 */
import { expect } from 'chai'
import { TDigest } from 'tdigest'
import {
  addValue,
  createDistribution,
  quantile,
} from '../../../../services/core/histogram/distribution.ts'
import { createRandom } from '../../../../services/core/random.ts'
import { exactQuantile } from './observations.ts'

const COUNT = 30_000
const QUANTILES = [1, 10, 50, 100, 250, 500, 750, 900, 950, 990, 999] as const
const BOUND = 0.0055

/** Normal with mean 0 and deviation 1, from two uniform draws. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

const DATASETS: Readonly<Record<string, (random: () => number, share: number) => number>> = {
  'log-normal latencies': (random) => 200_000 * Math.exp(0.8 * normal(random)),
  'uniform latencies': (random) => 1_000 + random() * 1_000_000,
  // 95.02 % fast ones: p95 is the slowest but a few of these.
  'a fast and a slow mode': (random, share) =>
    (share < 0.9502 ? 20_000 : 2_000_000) * (1 + random() / 50),
  'a long tail': (random) => 10_000 / (1 - random()) ** 1.5,
  'few distinct values': (random) => [3, 40, 41, 5_000][Math.floor(random() * 4)]!,
}

function withSeededMath<T>(seed: number, body: () => T): T {
  const { random } = Math
  Math.random = createRandom(seed)
  try {
    return body()
  } finally {
    Math.random = random
  }
}

/** The largest relative errors over all quantiles, ours and the digest's. */
function worstErrors(name: string, seed: number) {
  const draw = DATASETS[name]!
  const random = createRandom(seed)
  const values = Float64Array.from({ length: COUNT }, (_, i) => Math.round(draw(random, i / COUNT)))
  const ours = createDistribution()
  for (const value of values) addValue(ours, value, 1)
  const digest = new TDigest()
  withSeededMath(seed, () => {
    for (const value of values) digest.push(value)
    digest.compress()
  })
  const sorted = values.toSorted()
  let worst = { ours: 0, digest: 0 }
  for (const thousandths of QUANTILES) {
    const exact = exactQuantile(sorted, thousandths)
    const error = (got: number) => Math.abs(got - exact) / exact
    worst = {
      ours: Math.max(worst.ours, error(quantile(ours, thousandths / 1000))),
      digest: Math.max(worst.digest, error(digest.percentile(thousandths / 1000))),
    }
  }
  return worst
}

describe('core/histogram/distribution beside tdigest', () => {
  for (const name of Object.keys(DATASETS)) {
    it(`stays within 0.55 % of every quantile of ${name}`, () => {
      expect(worstErrors(name, 7).ours).to.be.at.most(BOUND)
    })
  }

  it('holds its bound where the digest interpolates between two modes', () => {
    const { ours, digest } = worstErrors('a fast and a slow mode', 7)
    expect(ours).to.be.at.most(BOUND)
    expect(digest).to.be.above(BOUND)
  })

  it('lies closer than the digest at its worst on log-normal latencies', () => {
    const { ours, digest } = worstErrors('log-normal latencies', 7)
    expect(ours).to.be.below(digest)
  })
})
