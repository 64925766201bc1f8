/** What can be done to a running pipeline: each kind is one row. */
import type { Failpoint } from '../../services/bus/failpoint.ts'
import type { FaultyStack } from './faulty-stack.ts'
import type { LinkMode } from './link.ts'
import type { Supervised } from './supervisor.ts'

export interface Surroundings {
  readonly stack: FaultyStack
  readonly target: Supervised
  /** Starts one more member of windowing; it is stopped by what is returned. */
  readonly another: () => Promise<() => Promise<void>>
  /** An integer in [from, to]. */
  readonly between: (from: number, to: number) => number
}

export interface FaultKind {
  readonly name: string
  /** How often it is drawn, beside the others. */
  readonly weight: number
  /** Does it, and resolves when it is over; says what was done. */
  readonly strike: (around: Surroundings) => Promise<string>
}

const FAILPOINTS: readonly Failpoint[] = [
  'before-publish',
  'mid-publish',
  'after-publish',
  'after-upload',
  'before-commit',
  'after-commit',
]

/** Longer than a session of the group, which is 10 s. */
const PAUSE_MS = [11_000, 16_000] as const

export const FAULT_KINDS: readonly FaultKind[] = [
  { name: 'kill', weight: 5, strike: ({ target }) => target.kill().then(() => 'kill -9') },
  { name: 'restart', weight: 2, strike: ({ target }) => target.restart().then(() => 'SIGTERM') },
  {
    name: 'failpoint',
    weight: 4,
    async strike({ target, between }) {
      const place = FAILPOINTS[between(0, FAILPOINTS.length - 1)]!
      const point = `${place}:${between(1, 4)}`
      await target.restart({ LENS_FAILPOINT: point })
      await wait(8_000)
      return `dies at ${point}`
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
      for (const each of stack.linksOf(target.name)) each.reset()
      return 'connections reset'
    },
  },
  {
    name: 'broker',
    weight: 1,
    async strike({ stack, between }) {
      const ms = between(500, 4_000)
      await stack.killBroker(ms)
      return `broker kill -9, away for ${ms} ms`
    },
  },
  {
    name: 'scale',
    weight: 1,
    async strike({ another, between }) {
      const stop = await another()
      await wait(between(4_000, 8_000))
      await stop()
      return 'one more windowing, for a while'
    },
  },
  {
    name: 'storm',
    weight: 1,
    async strike({ another }) {
      for (let i = 0; i < 3; i++) {
        const stop = await another()
        await wait(1_500)
        await stop()
      }
      return 'windowing joins and leaves three times'
    },
  },
]

/** Dies between publishing and committing, so that ranges are written again: each run begins so. */
export const REPLAY: FaultKind = {
  name: 'replay',
  weight: 0,
  async strike({ target }) {
    await target.restart({ LENS_FAILPOINT: 'before-commit:3' })
    await wait(10_000)
    return 'dies before a commit'
  },
}

function link(mode: LinkMode, weight: number, from: number, to: number): FaultKind {
  return {
    name: mode,
    weight,
    async strike({ stack, target, between }) {
      const ms = between(from, to)
      for (const each of stack.linksOf(target.name)) each.set(mode)
      await wait(ms)
      for (const each of stack.linksOf(target.name)) each.set('pass')
      return `links ${mode} for ${ms} ms`
    },
  }
}

/** One kind, drawn by weight: `draw` is in [0, 1). */
export function drawKind(draw: number): FaultKind {
  let left = draw * FAULT_KINDS.reduce((sum, { weight }) => sum + weight, 0)
  return FAULT_KINDS.find(({ weight }) => {
    left -= weight
    return left < 0
  })!
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
