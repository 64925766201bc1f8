/** What can be done to a running pipeline: each kind is one row. */
import type { Failpoint } from '../../services/bus/failpoint.ts'
import type { FaultyStack } from './faulty-stack.ts'
import type { LinkMode } from './link.ts'
import type { Supervised } from './supervisor.ts'

export interface Surroundings {
  readonly stack: FaultyStack
  readonly target: Supervised
  /** Starts one more of the target's service; it is stopped by what is returned. */
  readonly another: () => Promise<() => Promise<void>>
  /** An integer in [from, to]. */
  readonly between: (from: number, to: number) => number
}

export interface FaultKind {
  readonly name: string
  /** How often it is dealt, beside the others. */
  readonly weight: number
  /** It belongs to no service: no two of these at a time. */
  readonly isShared?: true
  /** Does it, and resolves when it is over; says what was done. */
  readonly strike: (around: Surroundings) => Promise<string>
}

const FAILPOINTS: readonly Failpoint[] = [
  'before-publish',
  'mid-publish',
  'after-publish',
  'before-commit',
  'after-commit',
]
/** Only the exporter carries anything out. */
const EXPORTER_FAILPOINTS: readonly Failpoint[] = [
  'mid-upload',
  'after-upload',
  'before-commit',
  'after-commit',
]
const FAILPOINT_MS_MAX = 12_000

/** Longer than a session of the group, which is 10 s. */
const PAUSE_MS = [11_000, 16_000] as const

export const FAULT_KINDS: readonly FaultKind[] = [
  { name: 'kill', weight: 4, strike: ({ target }) => target.kill().then(() => 'kill -9') },
  { name: 'restart', weight: 2, strike: ({ target }) => target.restart().then(() => 'SIGTERM') },
  {
    name: 'failpoint',
    weight: 4,
    strike({ target, between }) {
      const places = target.name.startsWith('exporter') ? EXPORTER_FAILPOINTS : FAILPOINTS
      return dieAt(target, `${places[between(0, places.length - 1)]}:${between(1, 4)}`)
    },
  },
  {
    name: 'pause',
    weight: 2,
    async strike({ target, between }) {
      const ms = between(...PAUSE_MS)
      await target.pause(ms)
      return `SIGSTOP for ${ms} ms`
    },
  },
  link('cut', 2, 500, 5_000),
  link('half-open', 1, 11_000, 15_000),
  link('replies-lost', 2, 1_000, 5_000),
  link('slow', 1, 2_000, 5_000),
  link('late', 1, 2_000, 5_000),
  {
    name: 'reset',
    weight: 1,
    async strike({ stack, target }) {
      for (const each of Object.values(stack.linksOf(target.name))) each.reset()
      return 'connections reset'
    },
  },
  {
    name: 'broker',
    weight: 2,
    isShared: true,
    async strike({ stack, between }) {
      const ms = between(500, 4_000)
      await stack.killBroker(ms)
      return `broker kill -9, away for ${ms} ms`
    },
  },
  {
    name: 'scale',
    weight: 1,
    isShared: true,
    async strike({ target, another, between }) {
      const back = await target.leave()
      await wait(between(3_000, 5_000))
      back()
      const stop = await another()
      await wait(between(4_000, 8_000))
      await stop()
      return 'one less of it, then one more, then as before'
    },
  },
  {
    name: 'storm',
    weight: 1,
    isShared: true,
    async strike({ another }) {
      for (let i = 0; i < 3; i++) {
        const stop = await another()
        await wait(1_500)
        await stop()
      }
      return 'one more of it joins and leaves three times'
    },
  },
]

/** Dies between publishing and committing, so that ranges are written again: each run begins so. */
export const REPLAY: FaultKind = {
  name: 'replay',
  weight: 0,
  strike: ({ target }) => dieAt(target, 'before-commit:3'),
}

/** Starts the target so that it dies there, and waits until it has. */
async function dieAt(target: Supervised, point: string): Promise<string> {
  const before = target.failpoints
  await target.restart({ LENS_FAILPOINT: point })
  const lastMs = Date.now() + FAILPOINT_MS_MAX
  while (target.failpoints === before && Date.now() < lastMs) await wait(100)
  return target.failpoints > before ? `dies at ${point}` : `does not come to ${point}`
}

function link(mode: LinkMode, weight: number, from: number, to: number): FaultKind {
  return {
    name: mode,
    weight,
    async strike({ stack, target, between }) {
      const ms = between(from, to)
      const links = Object.entries(stack.linksOf(target.name))
      // Every other time all of them, else one.
      const struck = between(0, 1) === 0 ? links : [links[between(0, links.length - 1)]!]
      for (const [, each] of struck) each.set(mode)
      await wait(ms)
      for (const [, each] of struck) each.set('pass')
      return `${struck.map(([name]) => name).join(' ')} ${mode} for ${ms} ms`
    },
  }
}

/**
 * Deals a kind and a service: in a seeded order, but each pair as often as the kind's weight says
 * before any comes again, so that a long run leaves none out.
 */
export function createDealer<Service>(
  services: readonly Service[],
  withShared: boolean,
  random: () => number,
): () => readonly [FaultKind, Service] {
  const kinds = FAULT_KINDS.filter(({ isShared }) => withShared || !isShared)
  const all = kinds.flatMap((kind) =>
    services.flatMap((service) => Array(kind.weight).fill([kind, service] as const)),
  )
  let deck: (readonly [FaultKind, Service])[] = []
  return () => {
    if (deck.length === 0) deck = [...all]
    return deck.splice(Math.floor(random() * deck.length), 1)[0]!
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
