/** Reads results as they come, and says how long after the fact each of them came. */
import { randomUUID } from 'node:crypto'
import type { EachBatchPayload } from 'kafkajs'
import type { Aggregate } from '../../../schemas/records.ts'
import { AGGREGATES, AGGREGATES_LIVE } from '../../../schemas/topics.ts'
import type { Cluster } from '../../broker/cluster.ts'
import { PROBES, probeChunk, probeChunksPerSecond, probeTenant } from './probes.ts'

/** Delays in seconds, of what happened in the measured time. */
export interface Delays {
  /** From each chunk of the probes to the first result that holds it, mostly a live one... */
  readonly live: number[]
  /** ...and from when its record was due to be sent. */
  readonly liveAfterSend: number[]
  /** From the end of a window to the first final result of each series. */
  readonly final: number[]
}

export interface Watch {
  /** Measures from here on: chunks and windows between the two instants, of this load. */
  begin(sinceMs: number, fromMs: number, toMs: number): void
  /** How many chunks and windows are still to come in a result. */
  missing(): number
  /** What has not come is as old as it is now. */
  take(): Delays
  close(): Promise<void>
}

const SIZE_S = 60
const PROBE_KEYS = new Map(
  Array.from({ length: PROBES }, (_, i) => [JSON.stringify({ tenant: probeTenant(i) }), i]),
)

/** Resolves when the reader has its place at the ends of both topics. */
export async function startWatch({ kafka, codec }: Cluster): Promise<Watch> {
  const groupId = `bench-watch-${randomUUID()}`
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, sessionTimeout: 60_000 })
  let span = { sinceMs: 0, fromMs: 0, toMs: 0 }
  let delays = noDelays()
  /** Chunks of each probe's windows that have been seen. */
  let seen = new Map<string, number>()

  async function eachBatch({ batch }: EachBatchPayload): Promise<void> {
    const nowMs = Date.now()
    const isFinal = batch.topic === AGGREGATES
    const decode = codec.decoder(batch.topic)
    for (const { key, value } of batch.messages) {
      const probe = PROBE_KEYS.get(key!.toString())
      if (probe === undefined && !isFinal) continue
      const result = decode(value, nowMs).value as Aggregate
      const { end, revision } = result
      const isFirst = isFinal && revision === 0 && isMeasured(end)
      if (isFirst) delays.final.push((nowMs - end) / 1000)
      if (probe !== undefined) readProbe(result, nowMs, probe)
    }
  }

  function readProbe({ size_s, start, metrics }: Aggregate, nowMs: number, probe: number): void {
    if (size_s !== SIZE_S || span.sinceMs === 0) return
    const name = `${probe}-${start}`
    const count = metrics.chunk_gap_us?.count ?? 0
    for (let nth = seen.get(name) ?? 0; nth < count; nth++) {
      const { atMs, sentMs } = probeChunk(probe, nth, start, span.sinceMs)
      if (!isMeasured(atMs)) continue
      delays.live.push((nowMs - atMs) / 1000)
      delays.liveAfterSend.push((nowMs - sentMs) / 1000)
    }
    seen.set(name, Math.max(count, seen.get(name) ?? 0))
  }

  function isMeasured(ms: number): boolean {
    return ms > span.fromMs && ms <= span.toMs
  }

  function missing(): number {
    const chunks = Math.floor(((span.toMs - span.fromMs) / 1000) * probeChunksPerSecond())
    return Math.max(0, chunks - delays.live.length)
  }

  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve))
  await consumer.connect()
  await consumer.subscribe({ topics: [AGGREGATES, AGGREGATES_LIVE], fromBeginning: false })
  await consumer.run({ eachBatch })
  await joined
  return {
    begin(sinceMs, fromMs, toMs) {
      span = { sinceMs, fromMs, toMs }
      delays = noDelays()
      seen = new Map()
    },
    missing: () => missing() + (delays.final.length === 0 ? 1 : 0),
    take() {
      const age = (Date.now() - span.toMs) / 1000
      const late = new Array(missing()).fill(age)
      const { live, liveAfterSend, final } = delays
      return {
        live: [...live, ...late],
        liveAfterSend: [...liveAfterSend, ...late],
        final: final.length > 0 ? final : [age],
      }
    },
    close: () => consumer.disconnect(),
  }
}

function noDelays(): Delays {
  return { live: [], liveAfterSend: [], final: [] }
}
