import { AGGREGATES, TOKEN_EVENTS, TRIGGER_EVENTS } from '../../schemas/topics.ts'
import type { StageHealth } from '../bus/health.ts'
import type { StageSpec } from '../bus/run.ts'
import type { ExporterConfig } from './config.ts'
import { createEffectHandler } from './effects.ts'
import { createLakeProcessor } from './lake-processor.ts'
import type { LakeFile } from './lake-range.ts'
import { createOtlpProcessor, type OtlpExport } from './otlp-processor.ts'
import { createOtlpSender } from './otlp-sender.ts'
import { readOtlpSettings } from './otlp-settings.ts'
import { reportStats } from './report-stats.ts'
import type { ObjectStore } from './store.ts'

/** The lake as a stage: requests, final aggregates and trigger events into Parquet files. */
export function lakeStage(
  { roll, rowsMax }: Pick<ExporterConfig, 'roll' | 'rowsMax'>,
  store: ObjectStore,
  health: StageHealth,
): StageSpec<LakeFile> {
  const options = { rollMs: roll, rowsMax }
  return {
    name: 'exporter-lake',
    group: 'lens-exporter-lake',
    topics: [TOKEN_EVENTS, AGGREGATES, TRIGGER_EVENTS],
    // Windowing puts the bad ones of the raw topic there, and nothing else writes to the others.
    deadLetters: false,
    create(assignment) {
      const processor = createLakeProcessor(assignment, options)
      return reportStats(processor, processor.stats, health)
    },
    carryOut: createEffectHandler(store, null),
  }
}

/** OTLP as a stage with its own offsets, so that its outage does not hold up the lake; or null. */
export function otlpStage(
  { otlpEndpoint, otlpGrouping }: Pick<ExporterConfig, 'otlpEndpoint' | 'otlpGrouping'>,
  store: ObjectStore,
  health: StageHealth,
  env: Readonly<Record<string, string | undefined>>,
  log: (line: string) => void,
): StageSpec<OtlpExport> | null {
  const settings = readOtlpSettings(otlpEndpoint, env)
  if (!settings) return null
  const sender = createOtlpSender(settings)
  const carryOut = createEffectHandler(store, sender)
  return {
    name: 'exporter-otlp',
    group: 'lens-exporter-otlp',
    topics: [AGGREGATES],
    deadLetters: false,
    create(assignment) {
      const processor = createOtlpProcessor(assignment, otlpGrouping)
      return reportStats(processor, processor.stats, health)
    },
    async carryOut(effect) {
      const before = sender.stats.pointsRejected
      await carryOut(effect)
      const rejected = sender.stats.pointsRejected - before
      health.count('points_rejected', rejected)
      if (rejected > 0) log(`OTLP refused ${rejected} points: ${sender.stats.lastRejection}`)
    },
  }
}
