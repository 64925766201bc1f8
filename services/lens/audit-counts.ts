import type { Aggregate, ResourceSample, Slice, TokenEvents } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES } from '../../schemas/topics.ts'
import { CHUNK_GAP, TTFT } from '../core/measure/measures.ts'

/** A quantity that must be the same in the raw records, their slices and their windows. */
interface Counted {
  readonly name: string
  events(record: TokenEvents): number
  slice(slice: Slice): number
  aggregate(aggregate: Aggregate): number
}

const none = () => 0

/** What is counted; `gaps` are the chunks one by one, `chunks` what the ends of requests say. */
export const COUNTED: readonly Counted[] = [
  {
    name: 'requests',
    events: ({ end }) => (end ? 1 : 0),
    slice: ({ requests }) => requests,
    aggregate: ({ requests }) => requests,
  },
  {
    name: 'chunks',
    events: ({ end }) => end?.chunks ?? 0,
    slice: ({ chunks }) => chunks,
    aggregate: ({ chunks }) => chunks,
  },
  {
    name: 'gaps',
    events: ({ gaps_us }) => gaps_us.length,
    slice: ({ metrics }) =>
      sum(metrics.map(({ id, count }) => (id === TTFT.id || id === CHUNK_GAP.id ? count : 0))),
    aggregate: ({ metrics }) =>
      (metrics[TTFT.name]?.count ?? 0) + (metrics[CHUNK_GAP.name]?.count ?? 0),
  },
  {
    name: 'output_tokens',
    events: ({ end }) => end?.output_tokens ?? 0,
    slice: ({ output_tokens }) => output_tokens,
    aggregate: ({ output_tokens }) => output_tokens,
  },
  {
    name: 'readings',
    events: none,
    slice: ({ gauges }) => sum(gauges.map(({ count }) => count)),
    aggregate: ({ gauges }) => sum(Object.values(gauges).map(({ count }) => count)),
  },
]

/** One number for each row of COUNTED. */
export type Counts = number[]

/** Where requests and readings stand in Counts. */
export const REQUESTS_AT = COUNTED.findIndex(({ name }) => name === 'requests')
export const READINGS_AT = COUNTED.findIndex(({ name }) => name === 'readings')

/** All at zero. */
export function noCounts(): Counts {
  return COUNTED.map(none)
}

/** Adds `other` into `target`. */
export function addCounts(target: Counts, other: Counts): void {
  for (let i = 0; i < target.length; i++) target[i]! += other[i]!
}

/** What a raw record brings. */
export function countsOfRaw(topic: string, record: TokenEvents | ResourceSample): Counts {
  if (topic !== RESOURCE_SAMPLES) return COUNTED.map((row) => row.events(record as TokenEvents))
  return COUNTED.map((_, i) => (i === READINGS_AT ? 1 : 0))
}

/** What one slice counts. */
export function countsOfSlice(slice: Slice): Counts {
  return COUNTED.map((row) => row.slice(slice))
}

/** What a result says. */
export function countsOfAggregate(aggregate: Aggregate): Counts {
  return COUNTED.map((row) => row.aggregate(aggregate))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
