import { metrics } from '@opentelemetry/api'
import type { Output } from '../core/processor.ts'
import { OTHER } from '../core/windows/series.ts'
import type { BadRecord } from './publisher.ts'

/** What a stage reports of itself, through the OpenTelemetry SDK of its process. */
export interface StageHealth {
  recordsIn(topic: string, records: number): void
  recordsOut(outputs: readonly Output[]): void
  deadLetters(bad: readonly BadRecord[]): void
  /** Source records that retention took before they were read. */
  missing(records: number): void
  flushed(durationMs: number): void
  /** Age of the first record that is not committed. */
  lag(topic: string, partition: number, lagMs: number): void
  /** A counter of the stage's own, such as late or duplicate; of one series, when one is named. */
  count(name: string, times: number, series?: string): void
  /** A level of the stage's own, such as the watermark's delay. */
  level(name: string, value: number, partition: number): void
  /** Totals so far by name, for a summary. */
  totals(): Readonly<Record<string, number>>
}

/** Series that counters tell apart, in a process; the others are one. */
const SERIES_TOLD_MAX = 200

/** What is kept of what could be made or asked for again. */
export type Cache = 'labels' | 'series' | 'source_topics' | 'unknown_schema_ids'

/**
 * Counts what a cache of the process let go of because it was full; it will be made or asked for
 * again. Rare, and the SDK may have been started only now: so the instrument is not kept.
 */
export function countForgotten(cache: Cache, entries: number): void {
  const description = 'entries that a full cache let go of, by cache'
  const meter = metrics.getMeter('llm-latency-lens')
  meter.createCounter('latency_lens.cache.forgotten', { description }).add(entries, { cache })
}

/** Instruments of one stage; they cost next to nothing while no SDK is started. */
export function createHealth(stage: string): StageHealth {
  const meter = metrics.getMeter('llm-latency-lens')
  const counter = (name: string, description: string) =>
    meter.createCounter(`latency_lens.${name}`, { description })
  const recordsIn = counter('records.in', 'records read')
  const recordsOut = counter('records.out', 'records published')
  const dead = counter('records.dead', 'records that could not be processed, by reason')
  const missing = counter('records.missing', 'records that retention took before they were read')
  const events = counter('events', 'what a stage counts of its own, by name')
  const flush = meter.createHistogram('latency_lens.flush.duration', { unit: 's' })
  const lag = meter.createGauge('latency_lens.lag', { unit: 's' })
  const levels = meter.createGauge('latency_lens.level')
  const totals: Record<string, number> = {}
  const told = new Set<string>()
  const toldOf = (series: string) => {
    if (told.size < SERIES_TOLD_MAX) told.add(series)
    return told.has(series) ? series : OTHER
  }
  const sum = (name: string, times: number) => {
    totals[name] = (totals[name] ?? 0) + times
  }
  return {
    recordsIn(topic, records) {
      recordsIn.add(records, { stage, topic })
      sum('in', records)
    },
    recordsOut(outputs) {
      for (const { topic } of outputs) recordsOut.add(1, { stage, topic })
      sum('out', outputs.length)
    },
    deadLetters(bad) {
      for (const { topic, reason } of bad) dead.add(1, { stage, topic, reason })
      sum('dead', bad.length)
    },
    missing(records) {
      missing.add(records, { stage })
      sum('missing', records)
    },
    flushed: (durationMs) => flush.record(durationMs / 1000, { stage }),
    lag: (topic, partition, lagMs) => lag.record(lagMs / 1000, { stage, topic, partition }),
    count(name, times, series) {
      if (times === 0) return
      events.add(times, { stage, name, ...(series !== undefined && { series: toldOf(series) }) })
      sum(name, times)
    },
    level: (name, value, partition) => levels.record(value, { stage, name, partition }),
    totals: () => ({ ...totals }),
  }
}
