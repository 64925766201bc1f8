/**
 * One seeded scheduler for everything that happens: whoever wants something of the outside world
 * asks for a step, and the scheduler decides when, and how, each step is taken.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../services/bus/clock.ts'
import { LensError } from '../../services/core/errors.ts'
import { createRandom } from '../../services/core/random.ts'

/** A process, or the world itself. */
export interface Actor {
  readonly name: string
  state: 'running' | 'paused' | 'dead'
}

interface Step {
  readonly actor: Actor
  readonly label: string
  readonly dueMs: number
  readonly run: () => void
  readonly drop: (error: Error) => void
}

export interface World {
  nowMs(): number
  advance(ms: number): void
  /** A number in [0, n). */
  upTo(n: number): number
  chance(share: number): boolean
  /** Writes a line into the trace. */
  note(line: string): void
  /** Carries out the work when the scheduler says so; a dead actor's steps are refused. */
  step<T>(actor: Actor, label: string, work: () => T, waitMs?: number): Promise<T>
  /** Takes one of the steps that are due, of actors that run; false when there is none. */
  takeStep(): boolean
  /** A clock whose sleeps are steps. */
  clockOf(actor: Actor): Clock
  /** The actor dies: whatever it waits for never comes. */
  kill(actor: Actor): void
  /** Of all lines so far. */
  hash(): string
  lines(): number
}

const DEAD = new LensError('broker_unavailable', 'the process is dead')

/** A world at rest. */
export function createWorld(seed: number, startMs: number, print?: (line: string) => void): World {
  const random = createRandom(seed)
  const hash = createHash('sha256')
  let lines = 0
  let nowMs = startMs
  let steps: Step[] = []
  const upTo = (n: number) => Math.floor(random() * n)

  function note(line: string): void {
    const text = `${nowMs - startMs} ${line}`
    lines++
    hash.update(text)
    print?.(text)
  }

  function step<T>(actor: Actor, label: string, work: () => T, waitMs = 0): Promise<T> {
    if (actor.state === 'dead') return Promise.reject(DEAD)
    return new Promise<T>((resolve, reject) => {
      const run = () => {
        note(`${actor.name}: ${label}`)
        try {
          resolve(work())
        } catch (error) {
          note(`${actor.name}: ${label} failed: ${(error as Error).message}`)
          reject(error)
        }
      }
      steps.push({ actor, label, dueMs: nowMs + waitMs, run, drop: reject })
    })
  }

  return {
    nowMs: () => nowMs,
    advance(ms) {
      nowMs += ms
    },
    upTo,
    chance: (share) => random() < share,
    note,
    step,
    takeStep() {
      const able = steps.filter(({ actor, dueMs }) => actor.state === 'running' && dueMs <= nowMs)
      if (able.length === 0) return false
      const next = able[upTo(able.length)]!
      steps.splice(steps.indexOf(next), 1)
      next.run()
      return true
    },
    clockOf: (actor) => ({
      nowMs: () => nowMs,
      monotonicMs: () => nowMs - startMs,
      sleep: (ms) => step(actor, `slept ${ms} ms`, () => {}, ms),
      turn: () => step(actor, 'had a turn', () => {}),
    }),
    kill(actor) {
      actor.state = 'dead'
      const own = steps.filter((each) => each.actor === actor)
      steps = steps.filter((each) => each.actor !== actor)
      for (const { drop } of own) drop(DEAD)
    },
    hash: () => hash.copy().digest('hex').slice(0, 16),
    lines: () => lines,
  }
}
