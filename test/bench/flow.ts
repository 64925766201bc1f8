/** Windowing and statistics of some partitions in memory: bytes of token events in, windows out. */
import { AGGREGATES, AGGREGATES_LIVE, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import { type Codec, createCodec, type Decoder, readSchemas } from '../../services/bus/codec.ts'
import { createFileRegistry } from '../../services/bus/registry.ts'
import { createSliceDecoder, mergeSlices } from '../../services/bus/slice-reader.ts'
import { createTokenRunDecoder } from '../../services/bus/token-run-decoder.ts'
import type { Plan } from '../../services/core/processor.ts'
import { DEFAULT_WINDOWS } from '../../services/core/windows/hopping.ts'
import { DEFAULT_GROUPINGS } from '../../services/core/windows/series.ts'
import type { EncodedWindowSlice } from '../../services/core/windows/slice.ts'
import { createLiveBudget } from '../../services/statistics/live-pace.ts'
import { createStatistics } from '../../services/statistics/processor.ts'
import { createFoldShared, DEFAULT_SERIES_MAX } from '../../services/windowing/fold.ts'
import { createWindowing, DEFAULT_RECORDS_MAX } from '../../services/windowing/processor.ts'
import { NOON_MS, NOON_US } from '../records.ts'
import { requests } from './requests.ts'

export interface Traffic {
  readonly seed: number
  readonly records: number
  readonly chunksPerRecord: number
  readonly series: number
  readonly partitions: number
}

interface Sent {
  readonly appendMs: number
  readonly bytes: Uint8Array
}

/** What is sent: by second of append, by partition. */
export type Log = readonly (readonly (readonly Sent[])[])[]

const SECONDS = 60
const FUTURE_MS = 60_000

/** A minute of traffic around noon, when windows of all sizes close; and what decodes it. */
export async function trafficOf(traffic: Traffic): Promise<{ log: Log; codec: Codec }> {
  const codec = await createCodec(createFileRegistry(readSchemas()), () => NOON_MS)
  const { partitions } = traffic
  const startUs = NOON_US - 45e6
  const log: Sent[][][] = []
  requests({ ...traffic, startUs, spanUs: SECONDS * 1e6 }).forEach((record, i) => {
    const passedUs = record.gaps_us.reduce((sum, gap) => sum + gap, record.elapsed_us)
    const appendMs = Math.ceil((record.started_at + passedUs) / 1000)
    const second = Math.floor((appendMs - startUs / 1000) / 1000)
    log[second] ??= Array.from({ length: partitions }, () => [])
    log[second][i % partitions]!.push({ appendMs, bytes: codec.encode(TOKEN_EVENTS, record) })
  })
  return { log: log.filter((second) => second), codec }
}

/**
 * Takes the log through both; what it returns has to be held on to, to see what it holds. `seen` is
 * told of the slices of each second in each partition.
 */
export function flow(
  log: Log,
  codec: Codec,
  partitions: number,
  seen: (slices: readonly Uint8Array[]) => void = () => {},
) {
  const decoder = createTokenRunDecoder(codec, TOKEN_EVENTS, FUTURE_MS)
  const parts = {
    counts: NO_COUNTS,
    shared: createFoldShared(DEFAULT_GROUPINGS),
    encode: (record: EncodedWindowSlice) => codec.encode(WINDOW_SLICES, record),
  }
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const windowing = all.map((p) =>
    createWindowing(assigned(TOKEN_EVENTS, p, partitions), WINDOWING, parts),
  )
  const merging = createMerging(codec, partitions)
  const sent = all.map(() => 0)
  let results = 0

  function fold(second: Log[number]): Uint8Array[][] {
    const slices: Uint8Array[][] = all.map(() => [])
    second.forEach((records, p) => {
      const batch = decoded(records, sent[p]!, decoder)
      sent[p]! += records.length
      const plan = windowing[p]!.onBatch({ topic: TOKEN_EVENTS, partition: p, records: batch })
      for (const { partition, value } of plan.outputs) slices[partition]!.push(value as Uint8Array)
    })
    return slices
  }

  for (const second of log) {
    fold(second).forEach((values, q) => {
      seen(values)
      results += merging.take(values, q)
    })
  }
  return { results, windowing, merging }
}

/** Statistics of all partitions. */
export function createMerging(codec: Codec, partitions: number) {
  const decode = createSliceDecoder(codec)
  const parts = { ...NO_COUNTS, mergeSlices, liveBudget: createLiveBudget() }
  const statistics = Array.from({ length: partitions }, (_, q) =>
    createStatistics(assigned(WINDOW_SLICES, q, partitions), STATISTICS, parts),
  )
  const merged = statistics.map(() => 0)
  return {
    statistics,
    /** Takes slices of a partition; how many results came of them. */
    take(slices: readonly Uint8Array[], q: number): number {
      const first = merged[q]!
      merged[q]! += slices.length
      const records = slices.map((value, i) => ({
        ...{ offset: first + i, appendMs: 0 },
        ...decode(value, 0),
      }))
      return taken(statistics[q]!.onBatch({ topic: WINDOW_SLICES, partition: q, records }))
    },
  }
}

function assigned(topic: string, partition: number, partitions: number) {
  const topics = [TOKEN_EVENTS, WINDOW_SLICES, AGGREGATES, AGGREGATES_LIVE]
  return {
    ...{ topic, partition, committed: null, firstOffset: 0, changelog: [] },
    partitions: Object.fromEntries(topics.map((name) => [name, partitions])),
  }
}

function* decoded(records: readonly Sent[], first: number, decoder: Decoder) {
  for (let i = 0; i < records.length; i++) {
    const { appendMs, bytes } = records[i]!
    yield { offset: first + i, appendMs, ...decoder(bytes, appendMs) }
  }
}

/** How many records a plan publishes, its further parts with it. */
export function taken(plan: Plan): number {
  let count = 0
  for (let part: Plan | undefined = plan; part; part = part.rest?.()) count += part.outputs.length
  return count
}

const NO_COUNTS = { count() {}, level() {}, folded() {}, watermarkDelay() {} }
const WINDOWING = {
  ...{ groupings: DEFAULT_GROUPINGS, seriesMax: DEFAULT_SERIES_MAX },
  ...{ recordsMax: DEFAULT_RECORDS_MAX, cutMarginMs: 2_000 },
  ...{ disorderMs: 5_000, futureMs: FUTURE_MS, idleAfterMs: 10_000 },
}
/** What statistics is told by default. */
export const STATISTICS = {
  ...{ ...DEFAULT_WINDOWS, latenessMs: 120_000, holdMs: 900_000, liveEveryMs: 1_000 },
  ...{ sourceTopics: [TOKEN_EVENTS], hasFleet: true },
}
