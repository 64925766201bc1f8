/** Sends seeded traffic of yesterday over the time of a run, and knows what became of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TokenEvents } from '../../schemas/records.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { Sink } from '../../services/bus/port.ts'
import type { LensError } from '../../services/core/errors.ts'
import { partitionOf } from '../../services/core/hash.ts'
import type { Cluster } from '../broker/cluster.ts'
import { traffic } from '../pipeline/traffic.ts'

export interface LoadOptions {
  readonly seed: number
  readonly requests: number
  readonly chunksMax: number
  readonly spanUs: number
  readonly partitions: number
}

export interface Load {
  /** Records whose append was acknowledged, by recordName. */
  readonly acknowledged: ReadonlySet<string>
  /** Whose append failed in a way that leaves open whether they are in the log. */
  readonly unknown: ReadonlySet<string>
  /** Sends what is left at once, and resolves when all is sent. */
  end(): Promise<void>
}

interface Item {
  readonly name: string
  readonly key: string
  readonly partition: number
  readonly value: Uint8Array
}

const DAY_US = 86_400e6
const TURN_MS = 250
const TURN_RECORDS_MAX = 1_000

/** No two records of a request begin with the same chunk. */
export function recordName({ request_id, first_chunk }: TokenEvents): string {
  return `${request_id} ${first_chunk}`
}

/** `leftMs` says, again and again, how much longer the run will take: the rest is spread over it. */
export function startLoad(cluster: Cluster, options: LoadOptions, leftMs: () => number): Load {
  const items = encodeAll(cluster, options)
  const acknowledged = new Set<string>()
  const unknown = new Set<string>()
  let ending = false
  const sending = send()

  async function send(): Promise<void> {
    const sink = await cluster.bus.sink()
    for (let next = 0; next < items.length; ) {
      const turns = ending ? 1 : Math.max(1, leftMs() / TURN_MS)
      const size = Math.min(TURN_RECORDS_MAX, Math.ceil((items.length - next) / turns))
      const turn = items.slice(next, next + size)
      next += size
      const began = Date.now()
      const byPartition = Map.groupBy(turn, ({ partition }) => partition)
      await Promise.all([...byPartition].map((group) => append(sink, ...group)))
      if (!ending) await sleep(Math.max(0, began + TURN_MS - Date.now()))
    }
    await sink.close()
  }

  /** A producer that may have sent something does not send it again. */
  async function append(sink: Sink, partition: number, group: readonly Item[]): Promise<void> {
    for (;;) {
      try {
        await sink.append(TOKEN_EVENTS, partition, group)
        for (const { name } of group) acknowledged.add(name)
        return
      } catch (error) {
        const { code, retryable } = error as LensError
        if (code === 'send_outcome_unknown') {
          for (const { name } of group) unknown.add(name)
          return
        }
        if (!retryable) throw error
        await sleep(1_000)
      }
    }
  }

  return {
    acknowledged,
    unknown,
    end() {
      ending = true
      return sending
    },
  }
}

/** As bytes: half a million records as objects would cost a gigabyte of heap. */
function encodeAll({ codec }: Cluster, options: LoadOptions): readonly Item[] {
  const { seed, requests, chunksMax, spanUs, partitions } = options
  const startUs = Math.floor((Date.now() * 1000 - DAY_US) / 900e6) * 900e6
  const shape = { series: 40, chunksMax, lateShare: 0.05, lateUsMax: 60e6 }
  return traffic({ seed, requests, startUs, spanUs, ...shape }).map(({ record }) => ({
    name: recordName(record),
    key: record.request_id,
    partition: partitionOf(record.request_id, partitions),
    value: codec.encode(TOKEN_EVENTS, record),
  }))
}
