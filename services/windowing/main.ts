import { runMain, startStage } from '../bus/service.ts'
import { windowingOptions } from './config.ts'
import { windowingStage } from './stage.ts'

await runMain({
  name: 'windowing',
  usage: `Folds lens.token-events and lens.resource-samples into 10 s slices per series.

usage: npm run lens -- run windowing [options]
  KAFKA_BROKERS=localhost:9092 SCHEMA_REGISTRY_URL=http://localhost:8081 \\
    npm run lens -- run windowing --groupings 'model,tenant;model;'`,
  options: windowingOptions,
  start: (config, platform, health, onFailure) =>
    startStage(windowingStage(config, platform.codec, health), platform, health, onFailure),
})
