import { RESOURCE_SAMPLES, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import type { StageHealth } from '../bus/health.ts'
import type { StageSpec } from '../bus/run.ts'
import { LensError } from '../core/errors.ts'
import { DEFAULT_WINDOWS, windowPlanFault } from '../core/windows/hopping.ts'
import type { StatisticsConfig } from './config.ts'
import { createStatistics } from './processor.ts'

/** Statistics as a stage: slices in, windows out. Throws when the hop does not fit the sizes. */
export function statisticsStage(
  config: Omit<StatisticsConfig, 'kafkaBrokers' | 'schemaRegistryUrl' | 'healthPort'>,
  health: StageHealth,
): StageSpec {
  const plan = { sizesMs: DEFAULT_WINDOWS.sizesMs, hopMs: config.hop }
  const fault = windowPlanFault(plan)
  if (fault) throw new LensError('configuration_invalid', `--hop: ${fault}`)
  const policy = {
    ...plan,
    latenessMs: config.lateness,
    liveEveryMs: config.liveEvery,
    sourceTopics: [TOKEN_EVENTS, RESOURCE_SAMPLES],
    hasFleet: !config.noFleet,
  }
  return {
    name: 'statistics',
    group: 'lens-statistics',
    topics: [WINDOW_SLICES],
    deadLetters: true,
    create: (assignment) => createStatistics(assignment, policy, health),
  }
}
