/**
 * The lake's store and the OTLP endpoint of the simulation: each request is a step. A file is kept
 * as the rows that it was made of; that these make the same bytes is shown elsewhere.
 */
import { createHash } from 'node:crypto'
import { LensError } from '../../services/core/errors.ts'
import type { LakeFile } from '../../services/exporter/lake-range.ts'
import type { OtlpSender } from '../../services/exporter/otlp-sender.ts'
import type { RangeSink } from '../../services/exporter/range-writer.ts'
import { type FileEntry, markerPath, type RangeMarker } from '../../services/lake/range-marker.ts'
import type { Faults } from './sim-group.ts'
import type { Actor, World } from './world.ts'

export interface SimSinks {
  /** Puts nothing over another, as a store does. */
  lake(actor: Actor): RangeSink
  sender(actor: Actor): OtlpSender
  /** The lake as it is now, by path. */
  readonly files: ReadonlyMap<string, LakeFile>
  readonly markers: ReadonlyMap<string, RangeMarker>
  /** What was put again, and was not the same as before: each is a fault. */
  readonly others: readonly string[]
  /** Bodies of the OTLP requests in the order in which they arrived. */
  readonly received: readonly Uint8Array[]
}

export interface SinksParts {
  readonly world: World
  readonly faults: () => Faults
  readonly seen: (what: 'late_put' | 'put_again' | 'slow_sink' | 'sink_reply_lost') => void
}

/** How long a sink can take to answer, and how long after it was given up a request can land. */
const SLOW_MAX_MS = 20_000
const LATE_MAX_MS = 60_000

/** An empty lake, and an endpoint that has received nothing. */
export function createSimSinks({ world, faults, seen }: SinksParts): SimSinks {
  const outside: Actor = { name: 'sinks', state: 'running' }
  const files = new Map<string, LakeFile>()
  const markers = new Map<string, RangeMarker>()
  const others: string[] = []
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

  const away = () => new LensError('store_unavailable', 'no answer', { retryable: true })

  function put<T>(actor: Actor, path: string, own: string, there: Map<string, T>, content: T) {
    const land = () => {
      const before = there.get(path)
      if (before) seen('put_again')
      if (before && digest(before) !== own) others.push(`lake: ${path} was put as another`)
      if (!before) there.set(path, content)
    }
    return request(actor, `put ${path} ${own}`, land, away)
  }

  return {
    files,
    markers,
    others,
    received,
    lake: (actor) => ({
      async isDone(range) {
        const path = markerPath(range)
        let there: RangeMarker | undefined
        const look = () => {
          there = markers.get(path)
        }
        await request(actor, `get ${path}`, look, away)
        if (there && there.to !== range.to) others.push(`lake: ${path} is of another range`)
        return there !== undefined
      },
      async file(file) {
        const { path, dataset, rows } = file
        const sha256 = digest(file)
        await put(actor, path, sha256, files, file)
        return { path, dataset, rows: rows.length, bytes: 0, sha256 } satisfies FileEntry
      },
      async marker(marker) {
        const lost = marker.files.filter(({ path }) => !files.has(path))
        others.push(...lost.map(({ path }) => `lake: a marker names ${path} before it is there`))
        await put(actor, markerPath(marker), digest(marker), markers, marker)
      },
    }),
    sender: (actor) => ({
      async send(body, points) {
        const land = () => void received.push(body)
        const busy = () => new LensError('otlp_unavailable', 'busy', { retryable: true })
        await request(actor, `export of ${points} points`, land, busy)
        return { rejected: 0, message: '' }
      },
      stats: NO_STATS,
    }),
  }
}

function digest(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16)
}

const NO_STATS: OtlpSender['stats'] = {
  requests: 0,
  retries: 0,
  accepted: 0,
  rejected: 0,
  requestsRejected: 0,
  lastRejection: null,
}
