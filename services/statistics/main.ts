import { runMain, startStage } from '../bus/service.ts'
import { statisticsOptions } from './config.ts'
import { statisticsStage } from './stage.ts'

await runMain({
  name: 'statistics',
  usage: `Merges slices into 1, 5 and 15-minute windows: lens.aggregates and lens.aggregates-live.

usage: npm run lens -- run statistics [options]
  npm run lens -- run statistics --lateness 5m`,
  options: statisticsOptions,
  start: (config, platform, health, onFailure) =>
    startStage(
      statisticsStage(config, platform.codec, health, platform.log),
      platform,
      health,
      onFailure,
    ),
})
