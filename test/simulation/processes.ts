/** The services of the simulation: real stages, started, killed, paused and stopped at any step. */
import type { Codec } from '../../services/bus/codec.ts'
import { loadConfig } from '../../services/bus/config.ts'
import { createHealth, type StageHealth } from '../../services/bus/health.ts'
import { runStage, type Stage, type StageParts } from '../../services/bus/run.ts'
import { exporterConfig } from '../../services/exporter/config.ts'
import type { Temporality } from '../../services/exporter/otlp-stream.ts'
import { lakeStage, otlpStageOf } from '../../services/exporter/stage.ts'
import { statisticsOptions } from '../../services/statistics/config.ts'
import { statisticsStage } from '../../services/statistics/stage.ts'
import { triggersOptions } from '../../services/triggers/config.ts'
import { triggersStage } from '../../services/triggers/stage.ts'
import { windowingOptions } from '../../services/windowing/config.ts'
import { windowingStage } from '../../services/windowing/stage.ts'
import type { SimBus } from './sim-bus.ts'
import type { SimSinks } from './sim-sinks.ts'
import type { Actor, World } from './world.ts'

export const STAGES = ['windowing', 'statistics', 'triggers', 'lake', 'otlp'] as const
export type StageName = (typeof STAGES)[number]

/** One process after the other under one name. */
export interface Process {
  readonly stage: StageName
  readonly name: string
  actor: Actor
  /** It could not go on, and is to be started again. */
  readonly failed: boolean
  /** Starts anew; the one before must be dead or have stopped. */
  start(): void
  /** Lets its time pass, unless it is still about to. */
  tick(): void
  /** An orderly stop, as far as it comes. */
  stop(): void
}

/** What a process is made of, but its clock. */
export interface ProcessParts {
  readonly world: World
  readonly bus: SimBus
  readonly sinks: SimSinks
  readonly codec: Codec
  readonly health: StageHealth
  /** Of the lake: how files are cut. */
  readonly lake: { readonly roll: string; readonly rowsMax: string }
  /** Of statistics: how long a window waits for a partition. */
  readonly hold: string
  readonly temporality: Temporality
}

const RULES = new URL('rules.yaml', import.meta.url).pathname

/** Starts the stage with the settings that it ships with, but for the rules, the cuts, the hold. */
function startStage(
  stage: StageName,
  actor: Actor,
  { sinks, codec, health, lake, hold, temporality }: ProcessParts,
  parts: StageParts,
): Promise<Stage> {
  const none = { env: {}, argv: [] }
  switch (stage) {
    case 'windowing':
      return runStage(windowingStage(loadConfig(windowingOptions, none), codec, health), parts)
    case 'statistics': {
      const config = loadConfig(statisticsOptions, { env: {}, argv: ['--hold', hold] })
      return runStage(
        statisticsStage(config, codec, health, () => {}),
        parts,
      )
    }
    case 'triggers': {
      const config = loadConfig(triggersOptions, { env: {}, argv: ['--rules', RULES] })
      return runStage(triggersStage(config, health), parts)
    }
    case 'lake': {
      const config = exporterConfig.parse({ ...lake, memoryBytesMax: LAKE_MEMORY_BYTES })
      return runStage(lakeStage(config, sinks.lake(actor), health), parts)
    }
    case 'otlp': {
      const { otlpGrouping: grouping, otlpViews: views } = exporterConfig.parse({})
      const options = { grouping, views, temporality }
      // The sender's own port: what lies behind it is HTTP, with timers that no seed decides.
      return runStage(
        otlpStageOf(sinks.sender(actor), options, health, () => {}),
        parts,
      )
    }
  }
}

/** So little that partitions end each other's ranges, now and then. */
const LAKE_MEMORY_BYTES = 64 * 1024

/** A process that has not been started. */
export function createProcess(stage: StageName, name: string, own: ProcessParts): Process {
  const { world, bus, codec, health } = own
  let life = 0
  let running: Stage | null = null
  let failed = false

  function start(): void {
    const actor: Actor = { name: `${name}.${++life}`, state: 'running' }
    self.actor = actor
    failed = false
    running = null
    world.note(`${actor.name} starts`)
    const fail = () => {
      if (self.actor === actor) failed = true
    }
    const clock = world.clockOf(actor)
    const parts = { bus: bus.of(actor), codec, clock, health, log: () => {}, onFailure: fail }
    startStage(stage, actor, own, parts).then((started) => {
      if (self.actor === actor) running = started
    }, fail)
  }

  const self: Process = {
    stage,
    name,
    actor: { name, state: 'dead' },
    get failed() {
      return failed
    },
    start,
    tick() {
      if (self.actor.state === 'running') void running?.tick()
    },
    stop() {
      const { actor } = self
      if (!running || actor.state !== 'running') return
      world.note(`${actor.name} is told to stop`)
      const over = () => {
        world.kill(actor)
        if (self.actor === actor) failed = true
      }
      running.stop().then(over, over)
      running = null
    },
  }
  return self
}

/** Healths that nobody looks at but the checks of a run. */
export function createHealths(): Readonly<Record<StageName, StageHealth>> {
  const healths = STAGES.map((stage) => [stage, createHealth(stage)])
  return Object.fromEntries(healths) as Record<StageName, StageHealth>
}
