import { DDSketch } from '@datadog/sketches-js'
import { build } from 'hdr-histogram-js'
import { TDigest } from 'tdigest'
import {
  addValue,
  createDistribution,
  mergeDistribution,
  quantile,
  VALUE_MAX,
} from '../../services/core/histogram/distribution.ts'
import { createRandom } from '../../services/core/random.ts'
import { countGaps, settleGaps } from '../../services/core/windows/gaps.ts'
import { createAggregate, encodeSlice } from '../../services/core/windows/slice.ts'
import { mergeSlice } from '../records.ts'
import type { Bench } from './figure.ts'
import { race } from './race.ts'

const VALUES = 200_000
const PARTS = 60
const RUN_CHUNKS = 50
const QUANTILES = [0.5, 0.9, 0.95, 0.99, 0.999]

/** Half of a bucket of ours at scale 6: what the sketch with a parameter for it is given too. */
const RELATIVE_ACCURACY = 0.0055

/** One histogram of any make: what this bench needs of it. */
interface Sketch {
  add(value: number): void
  quantile(q: number): number
}

const MAKES = {
  ours(): Sketch {
    const own = createDistribution()
    return { add: (value) => addValue(own, value, 1), quantile: (q) => quantile(own, q) }
  },
  tdigest(): Sketch {
    const own = new TDigest()
    return { add: (value) => own.push(value), quantile: (q) => own.percentile(q) as number }
  },
  DDSketch(): Sketch {
    const own = ddSketch()
    return { add: (value) => own.accept(value), quantile: (q) => own.getValueAtQuantile(q) }
  },
  HdrHistogram(): Sketch {
    const own = hdrHistogram()
    return {
      add: (value) => own.recordValue(value),
      quantile: (q) => own.getValueAtPercentile(q * 100),
    }
  },
}
type Make = keyof typeof MAKES
const PEERS = ['tdigest', 'DDSketch', 'HdrHistogram'] as const

/** Adds, merges and errors of histograms of latencies, in microseconds over four decades or six. */
export const histogram: Bench = {
  async *run({ seed, runs, share }) {
    const values = latencies(seed, Math.ceil(VALUES * share))
    const gapsUs = Int32Array.from(values)
    const options = { runs, atLeastMs: 300 * share }
    const makes = Object.entries(MAKES) as [Make, () => Sketch][]
    const sides: Record<string, () => number> = { runs: () => countRuns(gapsUs) }
    for (const [name, make] of makes) sides[name] = () => addAll(make(), values)
    const added = await race(sides, options)
    for (const name of PEERS) {
      const peer = { name, values: added[name]! }
      yield {
        ...{ what: 'histogram, gaps of runs counted', unit: 'values/s', values: added.runs!, peer },
        ...(name === 'tdigest' && { target: { of: 'ratio', is: 'at least', bound: 50 } }),
      }
      yield { what: 'histogram, values added', unit: 'values/s', values: added.ours!, peer }
    }
    const sets = [values, twoModes(values)]
    const errors = Object.fromEntries(
      makes.map(([name, make]) => [name, Math.max(...sets.map((set) => worstError(make(), set)))]),
    )
    for (const name of PEERS) {
      yield {
        what: 'histogram, worst error of five quantiles',
        unit: '%',
        values: [errors.ours! * 100],
        peer: { name, values: [errors[name]! * 100] },
        ...(name === 'tdigest' && { target: { of: 'ratio', is: 'at most', bound: 1 } }),
      }
    }
    const merged = await race(mergers(values), options)
    for (const name of ['DDSketch', 'HdrHistogram', 'tdigest'] as const) {
      yield {
        what: `histogram, merged ${PARTS} into one`,
        unit: 'merges/s',
        values: merged.ours,
        peer: { name, values: merged[name] },
      }
    }
    yield {
      what: 'histogram, to bytes and merged again',
      unit: 'merges/s',
      values: merged.oursEncoded,
      peer: { name: 'DDSketch', values: merged.ddSketchEncoded },
    }
  },
}

function latencies(seed: number, count: number): Float64Array {
  const random = createRandom(seed)
  return Float64Array.from({ length: count }, () => {
    const normal = random() + random() + random() + random() - 2
    return Math.round(12_000 * Math.exp(normal * 2.5))
  })
}

/** One in ten is served by an engine that takes a hundred times as long. */
function twoModes(values: Float64Array): Float64Array {
  return values.map((value, i) => (i % 10 === 0 ? value * 100 : value))
}

/** As windowing counts: the gaps of a run at once, in both of their measures. */
function countRuns(gapsUs: Int32Array): number {
  const counts = { chunkGap: createDistribution(), itl: createDistribution() }
  for (let from = 0; from < gapsUs.length; from += RUN_CHUNKS) {
    countGaps(counts, gapsUs, null, from, Math.min(gapsUs.length, from + RUN_CHUNKS))
  }
  settleGaps()
  return gapsUs.length
}

function addAll(sketch: Sketch, values: Float64Array): number {
  // An iterator of a typed array takes longer than what is measured.
  for (let i = 0; i < values.length; i++) sketch.add(values[i]!)
  return values.length
}

/** Of the quantiles, the one that is furthest from the exact one, relative to it. */
function worstError(sketch: Sketch, values: Float64Array): number {
  addAll(sketch, values)
  const sorted = values.toSorted()
  const errors = QUANTILES.map((q) => {
    const exact = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
    return Math.abs(sketch.quantile(q) - exact) / exact
  })
  return Math.max(...errors)
}

/** A window is the sum of its slices. */
function mergers(values: Float64Array) {
  const size = Math.ceil(values.length / PARTS)
  const parts = Array.from({ length: PARTS }, (_, i) => values.subarray(i * size, (i + 1) * size))
  const fill = <T>(make: () => T, add: (to: T, value: number) => void) =>
    parts.map((part) => {
      const made = make()
      for (const value of part) add(made, value)
      return made
    })
  const own = fill(createDistribution, (to, value) => addValue(to, value, 1))
  const dd = fill(ddSketch, (to, value) => to.accept(value))
  const hdr = fill(hdrHistogram, (to, value) => to.recordValue(value))
  const td = fill(
    () => new TDigest(),
    (to, value) => to.push(value),
  )
  const aggregates = own.map((each) => {
    const metrics = [each, ...createAggregate().metrics.slice(1)]
    return { ...createAggregate(), metrics }
  })
  const all = (work: () => void) => () => {
    work()
    return PARTS
  }
  return {
    ours: all(() => {
      const sum = createDistribution()
      for (const each of own) mergeDistribution(sum, each)
    }),
    DDSketch: all(() => {
      const sum = ddSketch()
      for (const each of dd) sum.merge(each)
    }),
    HdrHistogram: all(() => {
      const sum = hdrHistogram()
      for (const each of hdr) sum.add(each)
    }),
    tdigest: all(() => {
      const sum = new TDigest()
      for (const each of td) sum.push_centroid(each.toArray())
    }),
    oursEncoded: all(() => {
      const sum = createAggregate()
      for (const each of aggregates) mergeSlice(sum, encodeSlice(0, each))
    }),
    ddSketchEncoded: all(() => {
      const sum = ddSketch()
      for (const each of dd) sum.merge(DDSketch.fromProto(each.toProto()))
    }),
  }
}

function ddSketch(): DDSketch {
  return new DDSketch({ relativeAccuracy: RELATIVE_ACCURACY })
}

/** Two digits are what its error of 1 % at most asks for; it has no step between that and 0.1 %. */
function hdrHistogram() {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: VALUE_MAX,
    numberOfSignificantValueDigits: 2,
    bitBucketSize: 32,
  })
}
