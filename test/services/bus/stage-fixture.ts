/** A stage around a tiny processor on the memory bus, and a trace of what it did. */
import type { ResourceSample, RuleEpisode } from '../../../schemas/records.ts'
import { DEAD_LETTERS, RESOURCE_SAMPLES, TRIGGER_STATE } from '../../../schemas/topics.ts'
import { type Codec, createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createHealth, type StageHealth } from '../../../services/bus/health.ts'
import type { MemoryBusOptions } from '../../../services/bus/memory.ts'
import type { Bus, Source } from '../../../services/bus/port.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { runStage, type Stage, type StageSpec } from '../../../services/bus/run.ts'
import type {
  Assignment,
  Commit,
  Output,
  Plan,
  Processor,
} from '../../../services/core/processor.ts'
import { resourceSample } from '../../records.ts'
import { createRecordingBus, type RecordingBus } from './recording-bus.ts'

export const INPUT = RESOURCE_SAMPLES
export const OUTPUT = TRIGGER_STATE
export const GROUP = 'echo-group'

/** What an echo has seen: `good 3 of 0`, `bad 4 truncated of 0`. */
export type Seen = string

export interface Fixture extends RecordingBus {
  readonly codec: Codec
  readonly health: StageHealth
  /** `append TOPIC-P n`, `effect X`, `commit P OFFSET`, in the order in which they happened. */
  readonly trace: string[]
  readonly failures: unknown[]
  /** Lines for a person. */
  readonly lines: string[]
  /** What was reported in milliseconds: the age of what is not committed, the length of flushes. */
  readonly measured: { readonly lagMs: number[]; readonly flushMs: number[] }
  /** The sources that stages were given, as the memory bus knows them. */
  readonly sources: Source[]
  /** Changes the source that the next stage gets. */
  readonly wrap: { source: (source: Source) => Source }
  start<Effect>(spec: StageSpec<Effect>): Promise<Stage>
  /** Appends one sample for each number, which is its `at`. */
  produce(partition: number, ...numbers: number[]): Promise<void>
  produceBytes(partition: number, value: Uint8Array): Promise<void>
  committed(partition: number): Promise<Commit | null>
  /** The numbers that were put out to a partition. */
  outputs(partition: number): Promise<number[]>
  deadLetters(): Promise<object[]>
}

/** A bus with all topics and nothing on it. */
export async function createFixture(
  partitions: number,
  more: Partial<MemoryBusOptions> = {},
): Promise<Fixture> {
  const recording = await createRecordingBus(partitions, more)
  const { clock, memory } = recording
  const codec = await createCodec(createFileRegistry(readSchemas()), clock.nowMs)
  const measured: Fixture['measured'] = { lagMs: [], flushMs: [] }
  const health: StageHealth = {
    ...createHealth('echo'),
    lag: (_topic, _partition, lagMs) => void measured.lagMs.push(lagMs),
    flushed: (durationMs) => void measured.flushMs.push(durationMs),
  }
  const trace: string[] = []
  const failures: unknown[] = []
  const lines: string[] = []
  const sources: Source[] = []
  const wrap: Fixture['wrap'] = { source: (source) => source }
  recording.faults.before = ({ topic, partition, records }) => {
    trace.push(`append ${topic}-${partition} ${records.length}`)
    return null
  }
  const bus: Bus = {
    ...recording.bus,
    source(group, topics) {
      const source = memory.source(group, topics)
      sources.push(source)
      return wrap.source(traced(source, trace))
    },
  }
  const sink = await memory.sink()

  return {
    ...recording,
    bus,
    codec,
    health,
    trace,
    failures,
    lines,
    measured,
    sources,
    wrap,
    start: (spec) =>
      runStage(spec, {
        ...{ bus, codec, clock, health, log: (line) => void lines.push(line) },
        onFailure: (error) => void failures.push(error),
      }),
    async produce(partition, ...numbers) {
      const values = numbers.map((at) => codec.encode(INPUT, resourceSample({ at })))
      await sink.append(
        INPUT,
        partition,
        values.map((value) => ({ key: null, value })),
      )
    },
    async produceBytes(partition, value) {
      await sink.append(INPUT, partition, [{ key: 'bad', value }])
    },
    committed: (partition) => memory.source(GROUP, [INPUT]).committed(INPUT, partition),
    async outputs(partition) {
      const decode = codec.decoder(OUTPUT)
      const records = await memory.readAll(OUTPUT, partition)
      return records.map(({ value }) => (decode(value, 0).value as RuleEpisode).since)
    },
    async deadLetters() {
      const decode = codec.decoder(DEAD_LETTERS)
      const all = Array.from({ length: partitions }, (_, p) => memory.readAll(DEAD_LETTERS, p))
      return (await Promise.all(all)).flat().map(({ value }) => decode(value, 0).value as object)
    },
  }
}

function traced(source: Source, trace: string[]): Source {
  return {
    ...source,
    async commit(topic, partition, commit) {
      await source.commit(topic, partition, commit)
      trace.push(`commit ${partition} ${commit.offset}`)
    },
  }
}

/** A record of the output topic that carries a number. */
export function episode(number: number): RuleEpisode {
  const zero = { first_end: 0, evaluated_through: 0, fired_at: 0 }
  return {
    rule: 'echo',
    series: '',
    state: 'inactive',
    since: number,
    held_ms: 0,
    heard_through: 0,
    revision: '',
    severity: '',
    size_s: 0,
    ...zero,
  }
}

export function output(number: number, partition: number): Output {
  return { topic: OUTPUT, partition, key: String(number), value: episode(number) }
}

const NEVER = Number.POSITIVE_INFINITY

export const NOTHING: Plan<never> = { outputs: [], effects: [], commit: null, wakeMs: NEVER }

/** Puts every number out again, carries it out as an effect when asked to, and commits. */
export function echo(
  seen: Seen[],
  more: Partial<Processor<string>> = {},
  effects = false,
): (assignment: Assignment) => Processor<string> {
  return ({ partition }) => ({
    startOffset: null,
    onBatch(batch) {
      const numbers: number[] = []
      let offset = 0
      for (const record of batch.records) {
        offset = record.offset + 1
        if (record.bad) {
          seen.push(`bad ${record.offset} ${record.bad} of ${partition}`)
          continue
        }
        const { at } = record.value as ResourceSample
        numbers.push(at)
        seen.push(`good ${at} of ${partition}`)
      }
      return {
        outputs: numbers.map((number) => output(number, partition)),
        effects: effects ? numbers.map(String) : [],
        commit: { offset, metadata: `after ${offset}` },
        wakeMs: NEVER,
      }
    },
    onTick: () => NOTHING,
    onDrain: () => NOTHING,
    ...more,
  })
}

/** The stage around an echo. */
export function echoSpec(seen: Seen[], more: Partial<StageSpec<string>> = {}): StageSpec<string> {
  const create = echo(seen)
  return { name: 'echo', group: GROUP, topics: [INPUT], deadLetters: true, create, ...more }
}

/** Until the work that waits for nothing but other work has been done. */
export async function idle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate)
}
