import { runMain, serviceOptions, startStage } from '../bus/service.ts'
import { openStore } from '../lake/store.ts'
import { startArrowServer } from './arrow-server.ts'
import { exporterConfig } from './config.ts'
import { createParquetThread } from './parquet-thread.ts'
import { createRangeSink } from './range-writer.ts'
import { lakeStage, otlpStage } from './stage.ts'

await runMain({
  name: 'exporter',
  usage: `Writes token events, requests, samples, final aggregates and trigger events as Parquet, aggregates as OTLP.

usage: npm run lens -- run exporter [options]
  npm run lens -- run exporter --lake-url s3://lake/lens --roll 5m
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 npm run lens -- run exporter`,
  options: exporterConfig.extend(serviceOptions),
  async start(config, platform, health, onFailure) {
    const store = await openStore(config.lakeUrl, process.env)
    const sink = createRangeSink(store, createParquetThread())
    const lake = await startStage(lakeStage(config, sink, health), platform, health, onFailure)
    const spec = otlpStage(config, health, process.env, platform.log)
    const otlp = spec && (await startStage(spec, platform, health, onFailure))
    const { arrowPort: port, arrowHost: host } = config
    const arrow = port === 0 ? null : await startArrowServer(store, { host, port }, platform.log)
    const also = `${spec ? ' and OTLP' : ''}${arrow ? `, Arrow at ${arrow.url}/v1/arrow/` : ''}`
    platform.log(`exporter: ${store.describe}${also}`)
    return {
      async stop() {
        await arrow?.stop()
        try {
          await lake.stop()
        } finally {
          await otlp?.stop()
        }
      },
    }
  },
})
