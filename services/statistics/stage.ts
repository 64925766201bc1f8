import { RESOURCE_SAMPLES, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { Codec } from '../bus/codec.ts'
import type { StageHealth } from '../bus/health.ts'
import type { StageSpec } from '../bus/run.ts'
import { createSliceDecoder, mergeSlices } from '../bus/slice-reader.ts'
import { LensError } from '../core/errors.ts'
import { DEFAULT_WINDOWS, windowPlanFault } from '../core/windows/hopping.ts'
import type { StatisticsConfig } from './config.ts'
import { createLiveBudget } from './live-pace.ts'
import { createStatistics } from './processor.ts'

/** What must never happen: each is said, not only counted. */
const ANOMALIES = new Set(['gap_range', 'overlap_range', 'incomplete_range'])

/** Statistics as a stage: slices in, windows out. Throws when the hop does not fit the sizes. */
export function statisticsStage(
  config: Omit<StatisticsConfig, 'kafkaBrokers' | 'schemaRegistryUrl' | 'healthPort'>,
  codec: Codec,
  health: StageHealth,
  log: (line: string) => void,
): StageSpec {
  const plan = { sizesMs: DEFAULT_WINDOWS.sizesMs, hopMs: config.hop }
  const fault = windowPlanFault(plan)
  if (fault) throw new LensError('configuration_invalid', `--hop: ${fault}`)
  const policy = {
    ...plan,
    latenessMs: config.lateness,
    holdMs: config.hold || Number.POSITIVE_INFINITY,
    liveEveryMs: config.liveEvery,
    sourceTopics: [TOKEN_EVENTS, RESOURCE_SAMPLES],
    hasFleet: !config.noFleet,
  }
  const liveBudget = createLiveBudget()
  return {
    name: 'statistics',
    group: 'lens-statistics',
    topics: [WINDOW_SLICES],
    decoders: { [WINDOW_SLICES]: createSliceDecoder(codec) },
    deadLetters: true,
    create(assignment) {
      const parts = {
        mergeSlices,
        liveBudget,
        level: health.level,
        count(name: string, times: number, series?: string) {
          health.count(name, times, series)
          if (ANOMALIES.has(name)) log(`statistics: ${name} in partition ${assignment.partition}`)
        },
      }
      return createStatistics(assignment, policy, parts)
    },
  }
}
