/** The whole pipeline on the memory bus, through the real codecs, with a clock moved by hand. */

import type { Aggregate, ResourceSample, TokenEvents, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, RESOURCE_SAMPLES, TOKEN_EVENTS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import type { Clock } from '../../services/bus/clock.ts'
import { type Codec, createCodec, readSchemas } from '../../services/bus/codec.ts'
import { loadConfig } from '../../services/bus/config.ts'
import { createHealth, type StageHealth } from '../../services/bus/health.ts'
import { createMemoryBus, type MemoryBus } from '../../services/bus/memory.ts'
import type { Fault, Step } from '../../services/bus/memory-fault.ts'
import { createFileRegistry } from '../../services/bus/registry.ts'
import { runStage, type Stage, type StageSpec } from '../../services/bus/run.ts'
import { createTopics } from '../../services/bus/topics.ts'
import { partitionOf } from '../../services/core/hash.ts'
import { statisticsOptions } from '../../services/statistics/config.ts'
import { statisticsStage } from '../../services/statistics/stage.ts'
import { triggersOptions } from '../../services/triggers/config.ts'
import { triggersStage } from '../../services/triggers/stage.ts'
import { windowingOptions } from '../../services/windowing/config.ts'
import { windowingStage } from '../../services/windowing/stage.ts'

export interface HandClock extends Clock {
  advance(ms: number): void
}

/** A clock that stands still until it is told to go on. */
export function createHandClock(startMs: number): HandClock {
  let now = startMs
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    turn: async () => {},
    advance(ms) {
      now += ms
    },
  }
}

export type StageName = 'windowing' | 'statistics' | 'triggers'

export interface Pipeline {
  readonly bus: MemoryBus
  readonly codec: Codec
  readonly clock: HandClock
  readonly health: Readonly<Record<StageName, StageHealth>>
  /** Appends to the partition that a collector would choose, or to the given one. */
  produce(records: readonly TokenEvents[], partition?: number): Promise<void>
  produceSamples(samples: readonly ResourceSample[]): Promise<void>
  produceBytes(topic: string, partition: number, value: Uint8Array): Promise<void>
  /** Lets time pass in steps of 500 ms, ticking and delivering in each. */
  pass(ms: number): Promise<void>
  /** Delivers what is there without letting time pass. */
  settle(): Promise<void>
  start(name: StageName): Promise<void>
  stop(name: StageName): Promise<void>
  /** Every record of a topic, partition by partition. */
  read<T>(topic: string): Promise<T[]>
  aggregates(): Promise<Aggregate[]>
  triggerEvents(): Promise<TriggerEvent[]>
  /** Stages that died since the start, by fault. */
  readonly crashes: { count: number }
}

export interface PipelineOptions {
  readonly startMs: number
  readonly partitions?: number
  readonly fault?: (step: Step, topic: string, partition: number) => Fault
  readonly pick?: (n: number) => number
  readonly argv?: Partial<Record<StageName, readonly string[]>>
  readonly stages?: readonly StageName[]
}

const STEP_MS = 500
const RAW = new Set<string>([TOKEN_EVENTS, RESOURCE_SAMPLES])

/** Starts windowing, statistics and triggers (or the stages named). */
export async function createPipeline(options: PipelineOptions): Promise<Pipeline> {
  const { startMs, partitions = 2, argv = {} } = options
  const clock = createHandClock(startMs)
  const codec = await createCodec(createFileRegistry(readSchemas()), clock.nowMs)
  // Faults strike the stages; what was sent is known exactly.
  const fault: typeof options.fault = (step, topic, partition) =>
    RAW.has(topic) && step.startsWith('append')
      ? 'go'
      : (options.fault?.(step, topic, partition) ?? 'go')
  const faults = { fault, pick: options.pick }
  const bus = createMemoryBus({ clock, automatic: false, ...defined(faults) })
  await createTopics(bus, { partitions, replication: 1 })
  const sink = await bus.sink()
  const health = {
    windowing: createHealth('windowing'),
    statistics: createHealth('statistics'),
    triggers: createHealth('triggers'),
  }
  const config = <T>(name: StageName, load: (args: readonly string[]) => T) =>
    load(argv[name] ?? [])
  const specs: Record<StageName, () => StageSpec> = {
    windowing: () =>
      windowingStage(
        config('windowing', (args) => loadConfig(windowingOptions, { env: {}, argv: args })),
        codec,
        health.windowing,
      ),
    statistics: () =>
      statisticsStage(
        config('statistics', (args) => loadConfig(statisticsOptions, { env: {}, argv: args })),
        codec,
        health.statistics,
        () => {},
      ),
    triggers: () =>
      triggersStage(
        config('triggers', (args) => loadConfig(triggersOptions, { env: {}, argv: args })),
        health.triggers,
      ),
  }
  const running = new Map<StageName, Stage>()
  const dead: StageName[] = []
  const crashes = { count: 0 }

  async function start(name: StageName): Promise<void> {
    const parts = { bus, codec, clock, health: health[name], log: () => {} }
    const onFailure = () => {
      crashes.count++
      dead.push(name)
    }
    running.set(name, await runStage(specs[name](), { ...parts, onFailure }))
  }

  async function settle(): Promise<void> {
    await bus.settle()
    while (dead.length > 0) {
      const name = dead.pop()!
      // It says once more what it died of.
      await running
        .get(name)!
        .stop()
        .catch(() => {})
      await start(name)
      await bus.settle()
    }
  }

  for (const name of options.stages ?? ['windowing', 'statistics', 'triggers'])
    await start(name as StageName)
  await settle()

  async function read<T>(topic: string): Promise<T[]> {
    const decode = codec.decoder(topic)
    const all: T[] = []
    for (let partition = 0; partition < partitions; partition++) {
      for (const record of await bus.readAll(topic, partition)) {
        all.push(decode(record.value, record.appendMs).value as T)
      }
    }
    return all
  }

  return {
    bus,
    codec,
    clock,
    health,
    crashes,
    async produce(records, partition) {
      for (const record of records) {
        const to = partition ?? partitionOf(record.request_id, partitions)
        const value = codec.encode(TOKEN_EVENTS, record)
        await sink.append(TOKEN_EVENTS, to, [{ key: record.request_id, value }])
      }
    },
    async produceSamples(samples) {
      for (const sample of samples) {
        const value = codec.encode(RESOURCE_SAMPLES, sample)
        const to = partitionOf(sample.endpoint, partitions)
        await sink.append(RESOURCE_SAMPLES, to, [{ key: sample.endpoint, value }])
      }
    },
    async produceBytes(topic, partition, value) {
      await sink.append(topic, partition, [{ key: null, value }])
    },
    async pass(ms) {
      for (let left = ms; left > 0; left -= STEP_MS) {
        clock.advance(Math.min(STEP_MS, left))
        await settle()
        for (const stage of running.values()) await stage.tick()
        await settle()
      }
    },
    settle,
    start,
    async stop(name) {
      await running.get(name)!.stop()
      running.delete(name)
    },
    read,
    aggregates: () => read<Aggregate>(AGGREGATES),
    triggerEvents: () => read<TriggerEvent>(TRIGGER_EVENTS),
  }
}

function defined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
