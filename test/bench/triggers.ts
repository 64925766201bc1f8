import avro from 'avsc'
import type { Aggregate } from '../../schemas/records.ts'
import { AGGREGATES, TRIGGER_EVENTS, TRIGGER_STATE } from '../../schemas/topics.ts'
import { createCodec, HEADER_BYTES, readSchemas } from '../../services/bus/codec.ts'
import { createFileRegistry } from '../../services/bus/registry.ts'
import { createRandom } from '../../services/core/random.ts'
import type { Condition, Rule } from '../../services/core/triggers/rule.ts'
import { DEFAULT_GROUPINGS } from '../../services/core/windows/series.ts'
import { createTriggers } from '../../services/triggers/processor.ts'
import { NOON_MS } from '../records.ts'
import type { Bench } from './figure.ts'
import { countedOf, measuredOf, seriesLabels, windowOf } from './fleet.ts'
import { race } from './race.ts'

const RULES = [10, 100]
const SERIES = [1_000, 20_000]
const SIZES_S = [60, 300, 900]
const MINUTE_MS = 60_000

/** How many windows differ in what was measured; the others share it, or they fill the memory. */
const DIFFERENT = 100

/** Rules on every series of the finest grouping, beside only reading what they are given. */
export const triggers: Bench = {
  async *run({ seed, runs, share }) {
    const codec = await createCodec(createFileRegistry(readSchemas()), () => NOON_MS)
    const type = avro.Type.forSchema(JSON.parse(readSchemas().aggregate!), { wrapUnions: false })
    for (const series of SERIES) {
      const windows = minuteOf(Math.ceil(series * share), seed)
      const some = windows.slice(0, DIFFERENT)
      const bytes = some.map((each) => Buffer.from(codec.encode(AGGREGATES, each)))
      for (const rules of RULES) {
        const evaluate = createEvaluator(rulesOf(rules))
        const evaluated = evaluate(windows)
        const rates = await race(
          {
            ours: () => evaluate(windows),
            avsc() {
              windows.forEach((_, i) => {
                type.decode(bytes[i % bytes.length]!, HEADER_BYTES)
              })
              return evaluated
            },
          },
          { runs, atLeastMs: 400 * share },
        )
        yield {
          what: `triggers, ${rules} rules, ${series} series, windows of 1, 5 and 15 min`,
          unit: 'evaluations/s',
          values: rates.ours,
          peer: { name: 'limit: avsc reads the aggregates', values: rates.avsc },
        }
      }
    }
  },
}

/** What statistics publishes each minute. */
export function minuteOf(series: number, seed: number): Aggregate[] {
  const random = createRandom(seed)
  const kinds = Array.from({ length: DIFFERENT }, () => {
    const requests = 1 + Math.floor(random() * 5)
    return windowOf(0, 60, countedOf(requests, 50, measuredOf(requests, 50, random)))
  })
  return Array.from({ length: series }, (_, place) => seriesLabels(place)).flatMap(
    (labels, place) =>
      SIZES_S.map((size_s) => {
        const end = NOON_MS + MINUTE_MS
        const times = { size_s, end, start: end - size_s * 1000 }
        return { ...kinds[place % DIFFERENT]!, ...times, series: labels }
      }),
  )
}

/** Hands over the windows, each time as those of the next minute; says how many evaluations. */
export function createEvaluator(rules: readonly Rule[]) {
  let evaluated = 0
  const count = (name: string, times: number) => {
    if (name === 'evaluated') evaluated += times
  }
  const place = { topic: AGGREGATES, partition: 0 }
  const partitions = { [TRIGGER_EVENTS]: 1, [TRIGGER_STATE]: 1 }
  const assignment = { ...place, committed: null, firstOffset: 0, changelog: [], partitions }
  const policy = { rules, statesMax: Number.POSITIVE_INFINITY }
  const processor = createTriggers(assignment, policy, { count })
  let minutes = 0
  return (windows: readonly Aggregate[]): number => {
    evaluated = 0
    const laterMs = minutes++ * MINUTE_MS
    processor.onBatch({ ...place, records: laterRecords(windows, laterMs) })
    return evaluated
  }
}

function* laterRecords(windows: readonly Aggregate[], laterMs: number) {
  for (let offset = 0; offset < windows.length; offset++) {
    const { start, end, ...rest } = windows[offset]!
    const value = { ...rest, start: start + laterMs, end: end + laterMs }
    yield { offset, appendMs: 0, value, bad: null }
  }
}

const CONDITIONS: readonly Condition[] = [
  condition({ kind: 'metric', metric: 'e2e_us', stat: 'p95' }, 700_000),
  condition({ kind: 'ratio', counter: 'errors', of: 'requests' }, 0.05),
  {
    kind: 'all',
    conditions: [
      condition({ kind: 'metric', metric: 'ttft_us', stat: 'p99' }, 300_000),
      condition({ kind: 'rate', counter: 'requests' }, 1),
    ],
  },
  {
    kind: 'any',
    conditions: [
      condition({ kind: 'metric', metric: 'itl_us', stat: 'p99' }, 40_000),
      condition({ kind: 'gauge', gauge: 'gpu_utilization', stat: 'mean' }, 0.9),
    ],
  },
]

function condition(reading: Extract<Condition, { kind: 'compare' }>['reading'], threshold: number) {
  return {
    kind: 'compare',
    reading,
    direction: 'above',
    threshold,
    leave: null,
    minCount: 1,
  } as const
}

/** Rules of all kinds over all window sizes, each of them on every series. */
export function rulesOf(count: number): Rule[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `rule-${i}`,
    severity: 'warning',
    groupBy: DEFAULT_GROUPINGS[0]!,
    series: {},
    windowMs: SIZES_S[i % SIZES_S.length]! * 1000,
    when: CONDITIONS[i % CONDITIONS.length]!,
    forMs: MINUTE_MS,
    keepFiringMs: 0,
    noData: 'hold',
    cooldownMs: 10 * MINUTE_MS,
  }))
}
