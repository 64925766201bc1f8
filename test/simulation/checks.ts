/** What must hold at the end of a run, whatever happened in it. */
import type {
  Aggregate,
  DeadLetter,
  ResourceSample,
  TokenEvents,
  TriggerEvent,
} from '../../schemas/records.ts'
import { AGGREGATES, DEAD_LETTERS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import type { Codec } from '../../services/bus/codec.ts'
import type { StageHealth } from '../../services/bus/health.ts'
import type { Temporality } from '../../services/exporter/otlp-stream.ts'
import {
  differences,
  type ExactWindow,
  latest,
  recompute,
  triggerFaults,
} from '../pipeline/oracle.ts'
import { lakeFaults, markerFaults, type Placed } from './lake-checks.ts'
import { otlpFaults } from './otlp-checks.ts'
import type { StageName } from './processes.ts'
import type { Seen, SimBus } from './sim-bus.ts'
import type { SimSinks } from './sim-sinks.ts'
import { ruleFaults } from './trigger-checks.ts'

interface Run {
  readonly records: readonly TokenEvents[]
  /** Those of them that cannot have been too late. */
  readonly onTime: readonly TokenEvents[]
  readonly samples: readonly ResourceSample[]
  /** topic-partition-offset of what is none. */
  readonly poisoned: ReadonlySet<string>
  readonly bus: SimBus
  readonly codec: Codec
  readonly health: Readonly<Record<StageName, StageHealth>>
  readonly partitions: number
  /** Windows that ended before it are final by now. */
  readonly finalMs: number
  readonly endMs: number
  readonly sinks: SimSinks
  readonly rollMs: number
  readonly temporality: Temporality
  readonly seen: Seen
}

/** What is wrong, in words; nothing when all is well. */
export function faultsFound(run: Run): readonly string[] {
  const aggregates = read<Aggregate>(run, AGGREGATES)
  const events = read<TriggerEvent>(run, TRIGGER_EVENTS)
  const countRepeats = (repeats: number) => {
    run.seen.otlp_repeats = (run.seen.otlp_repeats ?? 0) + repeats
  }
  return [
    ...windowFaults(run, aggregates),
    ...deadLetterFaults(run),
    ...anomalies(run),
    ...triggerFaults(events),
    ...ruleFaults(logsOf<Aggregate>(run, AGGREGATES), events),
    ...otlpFaults(run.sinks.received, aggregates, run.temporality, countRepeats),
    ...run.sinks.others,
    ...markerFaults(run.sinks),
    ...lakeFaults(run.sinks.files, (topic) => placed(run, topic)),
  ]
}

function read<T>(run: Run, topic: string): T[] {
  return placed(run, topic).map(({ value }) => value as T)
}

/** The same, each partition by itself. */
function logsOf<T>(run: Run, topic: string): T[][] {
  const byPartition = Map.groupBy(placed(run, topic), ({ partition }) => partition)
  return [...byPartition.values()].map((own) => own.map(({ value }) => value as T))
}

/** How long after the end of its interval a range must be in the lake. */
const LAKE_DELAY_MS = 12_000

function placed({ bus, codec, partitions, rollMs, endMs }: Run, topic: string): Placed[] {
  const decode = codec.decoder(topic)
  const all: Placed[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (const { offset, value, appendMs } of bus.records(topic, partition)) {
      const isDue = (Math.floor(appendMs / rollMs) + 1) * rollMs + LAKE_DELAY_MS <= endMs
      all.push({ partition, offset, value: decode(value, appendMs).value, isDue })
    }
  }
  return all
}

/** Every window of the raw records, as a recomputation has it; every repeat identical. */
function windowFaults(run: Run, aggregates: readonly Aggregate[]): readonly string[] {
  try {
    const isFinal = ([key]: readonly [string, unknown]) => endOf(key) <= run.finalMs
    const published = [...latest(aggregates)].filter(isFinal)
    const incomplete = published.filter(([, aggregate]) => aggregate.incomplete)
    if (incomplete.length > 0) return [`${incomplete[0]![0]}: still incomplete`]
    run.seen.incomplete = aggregates.filter((aggregate) => aggregate.incomplete).length
    const exact = new Map([...recompute(run.records)].filter(isFinal))
    if (exact.size === 0) return ['there was nothing to check']
    const isAllOnTime = run.onTime.length === run.records.length
    const certain = isAllOnTime ? exact : recompute(run.onTime)
    const isOpen = (key: string) => !isAllOnTime && !same(exact.get(key), certain.get(key))
    const found = differences(
      new Map(published.filter(([key]) => !isOpen(key))),
      new Map([...exact].filter(([key]) => !isOpen(key))),
    )
    const open = [...exact.keys()].filter(isOpen)
    const got = new Map(published)
    return [
      ...found,
      ...open.flatMap((key) => boundFaults(key, got.get(key), certain.get(key), exact.get(key)!)),
      ...readingFaults(run, got),
    ].slice(0, 5)
  } catch (error) {
    return [(error as Error).message]
  }
}

/** Every sample is a reading of the fleet's minute that it fell in, once. */
function readingFaults(run: Run, published: ReadonlyMap<string, Aggregate>): readonly string[] {
  run.seen.samples = run.samples.length
  const minutes = new Map<string, number>()
  for (const { at } of run.samples) {
    const key = `{} 60 ${Math.floor(at / 60e6) * 60_000}`
    if (endOf(key) <= run.finalMs) minutes.set(key, (minutes.get(key) ?? 0) + 1)
  }
  return [...minutes].flatMap(([key, readings]) => {
    const got = published.get(key)?.gauges.gpu_utilization?.count ?? 0
    return got === readings ? [] : [`${key}: ${got} readings, not ${readings}`]
  })
}

function same(one: ExactWindow | undefined, other: ExactWindow | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/** Of a window that something may be too late for: no less than the rest, no more than all. */
function boundFaults(
  key: string,
  got: Aggregate | undefined,
  least: ExactWindow | undefined,
  most: ExactWindow,
): readonly string[] {
  return Object.entries(most.counts).flatMap(([name, max]) => {
    const n = got?.[name as 'requests'] ?? 0
    const min = least?.counts[name] ?? 0
    return n < min || n > max ? [`${key}: ${name} is ${n}, not within ${min} and ${max}`] : []
  })
}

function endOf(key: string): number {
  const [start, size] = key.split(' ').reverse().map(Number)
  return start! + size! * 1000
}

/** Each bad record has a dead letter, and nothing else has. */
function deadLetterFaults(run: Run): readonly string[] {
  const letters = read<DeadLetter>(run, DEAD_LETTERS)
  const got = new Set(letters.map((at) => `${at.topic}-${at.partition}-${at.offset}`))
  return [
    ...[...run.poisoned].filter((key) => !got.has(key)).map((key) => `no dead letter of ${key}`),
    ...[...got].filter((key) => !run.poisoned.has(key)).map((key) => `a dead letter of ${key}`),
  ]
}

const ANOMALIES = ['gap_range', 'overlap_range', 'incomplete_range'] as const

function anomalies({ health, records, onTime, seen }: Run): readonly string[] {
  const totals = health.statistics.totals()
  seen.too_late = (totals.too_late_request ?? 0) + (totals.too_late_window ?? 0)
  const never = records.length === onTime.length ? [...ANOMALIES, 'too_late_request'] : ANOMALIES
  return never.filter((name) => totals[name]).map((name) => `${name}: ${totals[name]}`)
}
