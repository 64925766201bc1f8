/** The services of the simulation: real stages, started, killed, paused and stopped at any step. */
import type { Codec } from '../../services/bus/codec.ts'
import { loadConfig } from '../../services/bus/config.ts'
import { createHealth, type StageHealth } from '../../services/bus/health.ts'
import { runStage, type Stage, type StageSpec } from '../../services/bus/run.ts'
import { statisticsOptions } from '../../services/statistics/config.ts'
import { statisticsStage } from '../../services/statistics/stage.ts'
import { triggersOptions } from '../../services/triggers/config.ts'
import { triggersStage } from '../../services/triggers/stage.ts'
import { windowingOptions } from '../../services/windowing/config.ts'
import { windowingStage } from '../../services/windowing/stage.ts'
import type { SimBus } from './sim-bus.ts'
import type { Actor, World } from './world.ts'

export type StageName = 'windowing' | 'statistics' | 'triggers'

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

/** The stage's specification, with the settings that it ships with. */
export function specOf(stage: StageName, codec: Codec, health: StageHealth): StageSpec {
  const none = { env: {}, argv: [] }
  switch (stage) {
    case 'windowing':
      return windowingStage(loadConfig(windowingOptions, none), codec, health)
    case 'statistics':
      return statisticsStage(loadConfig(statisticsOptions, none), health, () => {})
    case 'triggers':
      return triggersStage(loadConfig(triggersOptions, none), health)
  }
}

/** A process that has not been started. Its clock is off by so much, whatever it is called. */
export function createProcess(
  stage: StageName,
  name: string,
  { world, bus, codec, health }: { world: World; bus: SimBus; codec: Codec; health: StageHealth },
  offMs: number,
): Process {
  let life = 0
  let running: Stage | null = null
  let ticking = false
  let failed = false

  function start(): void {
    const actor: Actor = { name: `${name}.${++life}`, state: 'running' }
    self.actor = actor
    ticking = false
    failed = false
    running = null
    world.note(`${actor.name} starts`)
    const fail = () => {
      if (self.actor === actor) failed = true
    }
    const clock = world.clockOf(actor, offMs)
    const parts = { bus: bus.of(actor), codec, clock, health, log: () => {}, onFailure: fail }
    runStage(specOf(stage, codec, health), parts).then((stage) => {
      if (self.actor === actor) running = stage
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
      const { actor } = self
      if (!running || ticking || actor.state !== 'running') return
      ticking = true
      const over = () => {
        if (self.actor === actor) ticking = false
      }
      running.tick().then(over, over)
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

/** A health that nobody looks at but the checks of a run. */
export function createHealths(): Readonly<Record<StageName, StageHealth>> {
  return {
    windowing: createHealth('windowing'),
    statistics: createHealth('statistics'),
    triggers: createHealth('triggers'),
  }
}
