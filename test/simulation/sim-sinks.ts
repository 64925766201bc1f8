/** The lake's store and the OTLP endpoint of the simulation: each request is a step. */

import { LensError } from '../../services/core/errors.ts'
import type { OtlpSender } from '../../services/exporter/otlp-sender.ts'
import type { ObjectStore } from '../../services/exporter/store.ts'
import type { Faults } from './sim-group.ts'
import type { Actor, World } from './world.ts'

export interface SimSinks {
  store(actor: Actor): ObjectStore
  sender(actor: Actor): OtlpSender
  /** The lake as it is now, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Bodies of the OTLP requests in the order in which they arrived. */
  readonly received: readonly Uint8Array[]
}

export interface SinksParts {
  readonly world: World
  readonly faults: () => Faults
  readonly seen: (what: 'late_put' | 'overwritten' | 'slow_sink' | 'sink_reply_lost') => void
}

/** How long a sink can take to answer, and how long after it was given up a request can land. */
const SLOW_MAX_MS = 20_000
const LATE_MAX_MS = 60_000

/** An empty lake, and an endpoint that has received nothing. */
export function createSimSinks({ world, faults, seen }: SinksParts): SimSinks {
  const outside: Actor = { name: 'sinks', state: 'running' }
  const files = new Map<string, Uint8Array>()
  const received: Uint8Array[] = []

  function request(actor: Actor, label: string, land: () => void, fault: () => LensError) {
    const isSlow = world.chance(faults().slow)
    if (isSlow) seen('slow_sink')
    const work = () => {
      const { refused, late, replyLost } = faults()
      if (world.chance(refused)) throw fault()
      if (world.chance(late)) {
        seen('late_put')
        void world.step(outside, `late ${label}`, land, world.upTo(LATE_MAX_MS))
        throw fault()
      }
      land()
      if (!world.chance(replyLost)) return
      seen('sink_reply_lost')
      throw fault()
    }
    return world.step(actor, label, work, isSlow ? world.upTo(SLOW_MAX_MS) : 0)
  }

  return {
    files,
    received,
    store: (actor) => ({
      describe: 'the lake of the simulation',
      put(path, bytes) {
        const land = () => {
          if (files.has(path)) seen('overwritten')
          files.set(path, bytes)
        }
        const away = () => new LensError('store_unavailable', 'no answer', { retryable: true })
        return request(actor, `put ${path} ${bytes.length}`, land, away)
      },
    }),
    sender: (actor) => ({
      send(body, points) {
        const land = () => void received.push(body)
        const busy = () => new LensError('otlp_unavailable', 'busy', { retryable: true })
        return request(actor, `export of ${points} points`, land, busy)
      },
      stats: NO_STATS,
    }),
  }
}

const NO_STATS: OtlpSender['stats'] = {
  requests: 0,
  retries: 0,
  pointsAccepted: 0,
  pointsRejected: 0,
  requestsRejected: 0,
  lastRejection: null,
}
