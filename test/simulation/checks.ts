/** What must hold at the end of a run, whatever happened in it. */
import type { Aggregate, DeadLetter, TokenEvents, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, DEAD_LETTERS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import type { Codec } from '../../services/bus/codec.ts'
import type { StageHealth } from '../../services/bus/health.ts'
import { differences, latest, recompute, triggerFaults } from '../pipeline/oracle.ts'
import type { StageName } from './processes.ts'
import type { SimBus } from './sim-bus.ts'

interface Run {
  readonly records: readonly TokenEvents[]
  /** topic-partition-offset of what is none. */
  readonly poisoned: ReadonlySet<string>
  readonly bus: SimBus
  readonly codec: Codec
  readonly health: Readonly<Record<StageName, StageHealth>>
  readonly partitions: number
  /** Windows that ended before it are final by now. */
  readonly finalMs: number
}

/** What is wrong, in words; nothing when all is well. */
export async function faultsFound(run: Run): Promise<readonly string[]> {
  return [
    ...windowFaults(run),
    ...deadLetterFaults(run),
    ...anomalies(run),
    ...triggerFaults(read<TriggerEvent>(run, TRIGGER_EVENTS)),
  ]
}

function read<T>({ bus, codec, partitions }: Run, topic: string): T[] {
  const decode = codec.decoder(topic)
  const all: T[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (const { value, appendMs } of bus.records(topic, partition)) {
      all.push(decode(value, appendMs).value as T)
    }
  }
  return all
}

/** Every window of the raw records, as a recomputation has it; every repeat identical. */
function windowFaults(run: Run): readonly string[] {
  try {
    const isFinal = ([key]: readonly [string, unknown]) => endOf(key) <= run.finalMs
    const published = [...latest(read<Aggregate>(run, AGGREGATES))].filter(isFinal)
    const exact = [...recompute(run.records)].filter(isFinal)
    if (exact.length === 0) return ['there was nothing to check']
    return differences(new Map(published), new Map(exact)).slice(0, 5)
  } catch (error) {
    return [(error as Error).message]
  }
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

const ANOMALIES = ['gap_range', 'overlap_range', 'incomplete_range', 'too_late_request'] as const

function anomalies({ health }: Run): readonly string[] {
  const totals = health.statistics.totals()
  return ANOMALIES.filter((name) => totals[name]).map((name) => `${name}: ${totals[name]}`)
}
