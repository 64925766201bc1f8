import { runMain, startStage } from '../bus/service.ts'
import { triggersOptions } from './config.ts'
import { triggersStage } from './stage.ts'

await runMain({
  name: 'triggers',
  usage: `Evaluates rules on final aggregates and publishes lens.trigger-events.

usage: npm run lens -- run triggers [options]
  npm run lens -- run triggers --rules my-rules.yaml`,
  options: triggersOptions,
  start: (config, platform, health, onFailure) =>
    startStage(triggersStage(config, health), platform, health, onFailure),
})
