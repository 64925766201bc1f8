/** A log of slices such as windowing writes, out of a seed: bursts, silences, restarts. */
import type { WindowSlice } from '../../../schemas/records.ts'
import { createRandom } from '../../../services/core/random.ts'
import { createAggregate } from '../../../services/core/windows/slice.ts'
import { NO_WATERMARK } from '../../../services/core/windows/watermark.ts'
import { NOON_MS, sliceRecord } from '../../records.ts'

export const SOURCE_TOPIC = 'raw'
const SOURCES = 3
const SERIES = ['m', 'n', 'o']
const SLICE_MS = 10_000

interface Source {
  readonly partition: number
  to: number
  watermark: number
  eventWatermark: number
  completeMs: number
  /** What a new member would begin with. */
  committed: readonly [watermark: number, eventWatermark: number]
}

export interface Appended {
  readonly appendMs: number
  readonly value: WindowSlice
}

/** So many turns, each of one source that goes on, is idle or begins anew. */
export function slicesLog(seed: number, turns: number): readonly Appended[] {
  const random = createRandom(seed)
  const upTo = (n: number) => Math.floor(random() * n)
  const log: Appended[] = []
  let nowMs = NOON_MS
  let eventMs = NOON_MS - (seed % 2) * 86_400_000
  const sources: Source[] = Array.from({ length: SOURCES }, (_, partition) => ({
    ...{ partition, to: 0, completeMs: -1 },
    ...{ watermark: NO_WATERMARK, eventWatermark: NO_WATERMARK },
    committed: [NO_WATERMARK, NO_WATERMARK],
  }))

  function write(
    source: Source,
    from: number,
    to: number,
    series: readonly WindowSlice[],
    on_behalf = false,
  ): void {
    for (const value of series) log.push({ appendMs: nowMs, value })
    const { watermark, eventWatermark, completeMs: complete_ms } = source
    const counts = { series_count: series.length, records: to - from, dead_letters: 0 }
    const times = { watermark, event_watermark: eventWatermark, complete_ms }
    const closing = { ...counts, ...times, source_partitions: SOURCES, on_behalf }
    const value = { ...place(source, from, to), series: null, slices: [], closing }
    log.push({ appendMs: nowMs, value })
  }

  function range(source: Source): void {
    const [from, to] = [source.to, source.to + 1 + upTo(5)]
    const series = SERIES.slice(upTo(SERIES.length)).map((model) => {
      const late = random() < 0.3 ? upTo(300_000) : 0
      const startMs = Math.floor((eventMs - late) / SLICE_MS) * SLICE_MS
      const slice = sliceRecord(startMs, { ...createAggregate(), requests: 1 + upTo(9) })
      return { ...place(source, from, to), series: { model }, slices: [slice], closing: null }
    })
    source.to = to
    source.eventWatermark = Math.max(source.eventWatermark, eventMs - 5_000)
    source.watermark = Math.max(source.watermark, source.eventWatermark)
    source.completeMs = nowMs
    write(source, from, to, series)
    source.committed = [source.watermark, source.eventWatermark]
  }

  function idle(source: Source): void {
    source.watermark = Math.max(source.watermark, nowMs - 5_000)
    source.completeMs = nowMs
    write(source, source.to, source.to, [])
    if (random() < 0.5) source.committed = [source.watermark, source.eventWatermark]
  }

  function restart(source: Source): void {
    const [watermark, eventWatermark] = source.committed
    Object.assign(source, { watermark, eventWatermark, completeMs: -1 })
    write(source, source.to, source.to, [])
  }

  /** What statistics does for a source that others have waited for. */
  function onBehalf(source: Source): void {
    const watermark = Math.max(...sources.map((each) => each.watermark)) - upTo(60_000)
    if (source.watermark === NO_WATERMARK || watermark <= source.watermark) return
    const said = { ...source, watermark, eventWatermark: NO_WATERMARK }
    write(said, source.to, source.to, [], true)
  }

  for (let turn = 0; turn < turns; turn++) {
    const source = sources[upTo(SOURCES)]!
    const x = random()
    if (x < 0.6) range(source)
    else if (x < 0.8) idle(source)
    else if (x < 0.9) restart(source)
    else if (x < 0.95) onBehalf(source)
    else for (const each of sources) idle(each)
    nowMs += upTo(8_000)
    eventMs += upTo(20_000)
  }
  return log
}

function place({ partition }: Source, from: number, to: number) {
  return { source_topic: SOURCE_TOPIC, source_partition: partition, from, to }
}
