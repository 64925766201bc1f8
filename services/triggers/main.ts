import { runMain, startStage } from '../bus/service.ts'
import { triggersOptions } from './config.ts'
import { triggersStage } from './stage.ts'

await runMain({
  name: 'triggers',
  usage: `Evaluates rules on final aggregates and publishes lens.trigger-events.

usage: node services/triggers/main.ts [options]
  node services/triggers/main.ts --rules my-rules.yaml`,
  options: triggersOptions,
  start: (config, platform, health, onFailure) =>
    startStage(triggersStage(config, health), platform, health, onFailure),
})
