/** One run of the whole pipeline under one seed: what happens, and what is checked at its end. */
import type { ResourceSample } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../schemas/topics.ts'
import {
  type Codec,
  createCodec,
  type DecodeResult,
  readSchemas,
} from '../../services/bus/codec.ts'
import { createFileRegistry } from '../../services/bus/registry.ts'
import { partitionOf } from '../../services/core/hash.ts'
import type { Temporality } from '../../services/exporter/otlp-stream.ts'
import { traffic } from '../pipeline/traffic.ts'
import { NOON_MS, resourceSample } from '../records.ts'
import { faultsFound } from './checks.ts'
import { createHealths, createProcess, type Process, type StageName } from './processes.ts'
import { createSimBus, type Seen, type SimBus } from './sim-bus.ts'
import type { Faults } from './sim-group.ts'
import { createSimSinks } from './sim-sinks.ts'
import { createWorld, type World } from './world.ts'

export interface Outcome {
  readonly seed: number
  /** What was wrong, the first of it first; nothing is looked at in a run for its trace alone. */
  readonly faults: readonly string[]
  readonly hash: string
  readonly lines: number
  readonly seen: Seen
}

const PARTITIONS = 3
const DAY_US = 86_400e6
const SPAN_MS = 100_000
/** Less than the lateness that is allowed, so that everything has to be counted. */
const LATE_MAX_US = 110e6
/** In some runs some records are later. */
const TOO_LATE_MAX_US = 480e6
/** Two brokers' clocks differ by less than the cut margin, which is 2 s. */
const SKEW_MS_MAX = 900
const FUTURE_US = 600e6
const SETTLE_MS = 75_000
const PROCESSES: readonly [StageName, string][] = [
  ['windowing', 'windowing-a'],
  ['windowing', 'windowing-b'],
  ['statistics', 'statistics-a'],
  ['statistics', 'statistics-b'],
  ['triggers', 'triggers-a'],
  ['triggers', 'triggers-b'],
  ['lake', 'lake-a'],
  ['lake', 'lake-b'],
  ['otlp', 'otlp-a'],
]
const NO_FAULTS: Faults = { refused: 0, replyLost: 0, late: 0, torn: 0, stale: 0, slow: 0 }
const LAG_PACES = [6, 12, 24]
/** How the lake's files are cut: by time and by rows. */
const ROLLS_S = [10, 30]
const ROWS_MAX = [40, 50_000]
const STEPS_MS = [1, 20, 100, 500, 1_000, 3_000]

/**
 * Encodes and decodes as the pipeline does, but the same bytes only once: every stage, and every
 * owner that begins anew, reads them again. Made once, for it keeps nothing of a run.
 */
export async function openCodec(): Promise<Codec> {
  const codec = await createCodec(createFileRegistry(readSchemas()), () => NOON_MS)
  const known = new WeakMap<Uint8Array, DecodeResult>()
  return {
    ...codec,
    decoder(topic) {
      const decode = codec.decoder(topic)
      return (bytes, appendMs) => {
        const result = (bytes && known.get(bytes)) ?? decode(bytes, appendMs)
        if (bytes) known.set(bytes, result)
        return result
      }
    },
  }
}

/** What this seed's world is like: each fault is there or not, and so often. */
function createPlan(world: World) {
  const share = (most: number) => (world.chance(0.4) ? 0 : (most * (1 + world.upTo(9))) / 10)
  const lag = world.chance(0.25) ? createLag(world) : null
  // Of what happened in the time of a run alone, nothing can be too late.
  const tooLate = lag === null && world.chance(0.2)
  return {
    faults: {
      refused: share(0.05),
      replyLost: share(0.05),
      late: share(0.02),
      torn: share(0.05),
      stale: share(0.05),
      slow: share(0.1),
    },
    kill: lag ? 0 : share(0.01),
    pause: lag ? 0 : share(0.01),
    stop: lag ? 0 : share(0.01),
    rebalance: lag ? 0 : share(0.004),
    silence: lag ? 0 : share(0.002),
    poison: share(0.05),
    sample: share(0.2),
    skewMs: world.chance(0.4) ? 0 : SKEW_MS_MAX,
    clockSet: share(0.004),
    lateUsMax: tooLate ? TOO_LATE_MAX_US : LATE_MAX_US,
    /** How fast time passes beside the steps. */
    hurry: 0.02 + world.upTo(20) / 100,
    /** A backfill of yesterday, so many times as fast as it happened; 0: the load is live. */
    pace: tooLate ? 6 + world.upTo(5) : world.chance(0.4) ? 1 + world.upTo(6) : 0,
    idlePartition: world.chance(0.3),
    pauses: Array.from({ length: world.upTo(5) }, () => createPause(world, world.upTo(SPAN_MS))),
    rollS: ROLLS_S[world.upTo(ROLLS_S.length)]!,
    rowsMax: ROWS_MAX[world.upTo(ROWS_MAX.length)]!,
    /** Mostly longer than a run; else so short that windows close without a partition. */
    holdS: world.chance(0.3) ? 5 + world.upTo(20) : 900,
    held: null as { fromMs: number; toMs: number } | null,
    ...lag,
  }
}

/** Nothing is sent for so long: mostly longer than a partition needs to be idle. */
function createPause(world: World, afterMs: number) {
  return { afterMs, forMs: 8_000 + world.upTo(20_000) }
}

/**
 * A backfill into a system whose windows the clock has closed: one member of windowing hangs before
 * the others have read up to a pause, and goes on when there is more behind it. What it reads then
 * is further behind theirs than windows are remembered for.
 */
function createLag(world: World) {
  const first = createPause(world, 0)
  const second = createPause(world, 40_000 + world.upTo(50_000))
  const startMs = NOON_MS + first.forMs + second.afterMs
  const fromMs = startMs - 10_000 - world.upTo(25_000)
  const held = { fromMs, toMs: startMs + second.forMs + world.upTo(15_000) }
  return { pace: LAG_PACES[world.upTo(LAG_PACES.length)]!, pauses: [first, second], held }
}

/** What is sent in SPAN_MS and the pauses, a part of it late: by as much as may be, at most. */
function createTraffic(seed: number, plan: ReturnType<typeof createPlan>) {
  const { pace, pauses, held, lateUsMax } = plan
  const startUs = NOON_MS * 1000 - (pace > 0 ? DAY_US : 0)
  const speed = Math.max(1, pace)
  const sent = traffic({
    ...{
      seed,
      requests: 40,
      series: 4,
      chunksMax: 30,
      lateShare: held || lateUsMax > LATE_MAX_US ? 0.4 : 0.2,
      lateUsMax,
    },
    ...{ startUs, spanUs: SPAN_MS * 1000 * speed },
  })
  return sent.map(({ record, sendUs, lateUs }) => {
    const ms = (sendUs - startUs) / 1000 / speed
    const waited = pauses.filter(({ afterMs }) => afterMs <= ms)
    const sendMs = NOON_MS + ms + waited.reduce((sum, { forMs }) => sum + forMs, 0)
    return { record, sendMs, mayBeTooLate: lateUs > LATE_MAX_US }
  })
}

/** Runs one seed to its end and says what was wrong. The same seed gives the same trace. */
export async function simulate(
  seed: number,
  codec: Codec,
  print?: (line: string) => void,
  isChecked = true,
): Promise<Outcome> {
  const world = createWorld(seed, NOON_MS, print)
  const plan = createPlan(world)
  world.note(JSON.stringify(plan))
  const seen: Seen = {}
  let faults: Faults = plan.faults
  const { skewMs } = plan
  const bus = createSimBus({ world, faults: () => faults, partitions: PARTITIONS, skewMs, seen })
  const count = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1
  }
  const sinks = createSimSinks({ world, faults: () => faults, seen: count })
  const health = createHealths()
  const temporality: Temporality = seed % 3 === 0 ? 'delta' : 'cumulative'
  const lake = { roll: `${plan.rollS}s`, rowsMax: String(plan.rowsMax) }
  const processes = PROCESSES.map(([stage, name]) => {
    const own = { lake, hold: `${plan.holdS}s`, temporality, health: health[stage] }
    const parts = { world, bus, sinks, codec, ...own }
    return createProcess(stage, name, parts)
  })
  const waiting = createTraffic(seed, plan)
  const records = waiting.map(({ record }) => record)
  const onTime = waiting.flatMap(({ record, mayBeTooLate }) => (mayBeTooLate ? [] : [record]))
  const poisoned = new Set<string>()
  const samples: ResourceSample[] = []
  for (const process of processes) process.start()

  function send(): void {
    while (waiting.length > 0 && waiting[0]!.sendMs <= world.nowMs()) {
      const { record, mayBeTooLate } = waiting.shift()!
      const partition = plan.idlePartition ? 0 : partitionOf(record.request_id, PARTITIONS)
      const value = codec.encode(TOKEN_EVENTS, record)
      bus.append(TOKEN_EVENTS, partition, [{ key: record.request_id, value }])
      if (!mayBeTooLate && world.chance(plan.sample)) {
        const sample = resourceSample({ at: record.started_at + record.elapsed_us })
        const bytes = codec.encode(RESOURCE_SAMPLES, sample)
        bus.append(RESOURCE_SAMPLES, world.upTo(PARTITIONS), [{ key: null, value: bytes }])
        samples.push(sample)
      }
      if (!world.chance(plan.poison)) continue
      const offset = bus.records(TOKEN_EVENTS, partition).length
      const started_at = world.nowMs() * 1000 + FUTURE_US
      const bad = world.chance(0.5)
        ? codec.encode(TOKEN_EVENTS, { ...record, started_at })
        : Buffer.of(0, 0, 0)
      bus.append(TOKEN_EVENTS, partition, [{ key: null, value: bad }])
      poisoned.add(`${TOKEN_EVENTS}-${partition}-${offset}`)
    }
  }

  while (waiting.length > 0) {
    strike(world, plan, processes, bus, seen)
    hold(world, plan, processes[0]!)
    send()
    act(world, plan.hurry, processes, bus)
    await settled()
  }
  faults = NO_FAULTS
  heal(processes, bus)
  const endMs = world.nowMs() + SETTLE_MS
  while (world.nowMs() < endMs) {
    for (let busy = true; busy; await settled()) {
      busy = world.takeStep()
      for (const group of bus.groups.values()) busy = group.deliver() || busy
    }
    for (const process of processes) if (process.failed) restart(process, bus)
    for (const process of processes) process.tick()
    await settled()
    world.advance(250)
  }
  const checked = {
    records,
    onTime,
    samples,
    temporality,
    poisoned,
    bus,
    sinks,
    codec,
    health,
    seen,
    partitions: PARTITIONS,
  }
  const times = { endMs: world.nowMs(), finalMs: world.nowMs() - 30_000 }
  const rollMs = plan.rollS * 1000
  const found = isChecked ? faultsFound({ ...checked, ...times, rollMs }) : []
  return { seed, faults: found, hash: world.hash(), lines: world.lines(), seen }
}

/** Everything that was made to run by what happened has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A process that is held does nothing, whatever happens. */
function hold(world: World, plan: ReturnType<typeof createPlan>, { actor }: Process): void {
  if (plan.held === null) return
  const isHeld = plan.held.fromMs <= world.nowMs() && world.nowMs() < plan.held.toMs
  if (isHeld && actor.state === 'running') {
    world.note(`${actor.name} hangs`)
    actor.state = 'paused'
  }
}

/** Now and then, something happens to a process, a group or the load. */
function strike(
  world: World,
  plan: ReturnType<typeof createPlan>,
  processes: readonly Process[],
  bus: SimBus,
  seen: Seen,
): void {
  const process = processes[world.upTo(processes.length)]!
  const { actor } = process
  const count = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1
  }
  if (actor.state === 'running' && world.chance(plan.kill)) {
    count('kill')
    world.note(`${actor.name} is killed`)
    world.kill(actor)
  } else if (actor.state === 'running' && world.chance(plan.pause)) {
    count('pause')
    world.note(`${actor.name} is paused`)
    actor.state = 'paused'
  } else if (actor.state === 'running' && world.chance(plan.stop)) {
    count('stop')
    process.stop()
    // One that is told to stop may be given no time for it, and go on when another has its work.
    if (world.chance(0.5)) {
      count('stop_paused')
      actor.state = 'paused'
    }
  } else if (actor.state === 'paused' && world.chance(0.02)) {
    world.note(`${actor.name} goes on`)
    actor.state = 'running'
    for (const group of bus.groups.values()) group.rejoin()
  } else if ((process.failed || actor.state === 'dead') && world.chance(0.05)) {
    restart(process, bus)
  }
  if (world.chance(plan.clockSet)) {
    count('clock_set')
    world.note('the clocks of the brokers are set')
    bus.setClocks()
  }
  if (world.chance(plan.rebalance)) for (const group of bus.groups.values()) group.rebalance()
  if (world.chance(plan.silence)) {
    count('silence')
    world.note('a silence')
    world.advance(12_000)
  }
}

function restart(process: Process, bus: SimBus): void {
  if (process.actor.state === 'running') process.actor.state = 'dead'
  for (const group of bus.groups.values()) group.rebalance()
  process.start()
}

function heal(processes: readonly Process[], bus: SimBus): void {
  for (const process of processes) {
    if (process.actor.state === 'paused') process.actor.state = 'running'
    if (process.actor.state === 'dead') process.start()
  }
  for (const group of bus.groups.values()) {
    group.rejoin()
    group.rebalance()
  }
}

/** One thing goes on: a step, a batch, a look at the clock, or time. */
function act(world: World, hurry: number, processes: readonly Process[], bus: SimBus): void {
  if (world.chance(hurry)) world.advance(STEPS_MS[world.upTo(STEPS_MS.length)]!)
  const groups = [...bus.groups.values()]
  const choices = [
    () => world.takeStep(),
    () => world.takeStep(),
    () => groups.length > 0 && groups[world.upTo(groups.length)]!.deliver(),
    () => processes[world.upTo(processes.length)]!.tick() ?? true,
  ]
  if (!choices[world.upTo(choices.length)]!() && !world.takeStep()) world.advance(20)
}
