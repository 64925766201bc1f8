import type { Listening } from '../bus/listen.ts'
import type { StageSpec } from '../bus/run.ts'
import { runMain, serviceOptions, startStage } from '../bus/service.ts'
import { openStore } from '../lake/store.ts'
import { startArrowServer } from './arrow-server.ts'
import { exporterConfig } from './config.ts'
import { createExemplars } from './exemplars.ts'
import { startMetricsServer } from './metrics-server.ts'
import { createParquetThread } from './parquet-thread.ts'
import { createRangeSink } from './range-writer.ts'
import { createScrapeState } from './scrape-state.ts'
import { lakeStage, otlpStage, scrapeStage, spanStage } from './stage.ts'

await runMain({
  name: 'exporter',
  usage: `Writes token events, requests, samples, final aggregates and trigger events as Parquet, aggregates as
OTLP and for Prometheus.

usage: npm run lens -- run exporter [options]
  npm run lens -- run exporter --lake-url s3://lake/lens --roll 5m
  npm run lens -- run exporter --metrics-port 9464
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 npm run lens -- run exporter`,
  options: exporterConfig.extend(serviceOptions),
  async start(config, platform, health, onFailure) {
    const { arrowPort, arrowHost, metricsPort, metricsHost } = config
    const store = await openStore(config.lakeUrl, process.env)
    const sink = createRangeSink(store, createParquetThread())
    const otlp = otlpStage(config, health, process.env, platform.log)
    const spans = spanStage(config, health, process.env, platform.log)
    const { metricsSeriesMax: most, otlpGrouping } = config
    const scraped =
      metricsPort === 0
        ? null
        : {
            state: createScrapeState(most),
            exemplars: createExemplars(otlpGrouping, most),
          }
    const servers: Listening[] = []
    // Before any stage takes a partition: a port that is taken ends the process.
    if (scraped) {
      servers.push(await startMetricsServer(scraped, { host: metricsHost, port: metricsPort }))
      platform.log(`exporter: Prometheus at ${servers.at(-1)!.url}/metrics`)
    }
    if (arrowPort !== 0) {
      const place = { host: arrowHost, port: arrowPort }
      servers.push(await startArrowServer(store, place, platform.log))
      platform.log(`exporter: Arrow at ${servers.at(-1)!.url}/v1/arrow/`)
    }
    const start = <Effect>(spec: StageSpec<Effect>) => startStage(spec, platform, health, onFailure)
    const running = [await start(lakeStage(config, sink, health, scraped?.exemplars.see))]
    if (otlp) running.push(await start(otlp))
    if (spans) running.push(await start(spans))
    if (scraped) running.push(await start(scrapeStage(config, scraped.state, health)))
    platform.log(`exporter: ${store.describe}${otlp ? ' and OTLP' : ''}`)
    return {
      async stop() {
        for (const server of servers) await server.stop()
        const ended = await Promise.allSettled(running.map((stage) => stage.stop()))
        for (const end of ended) if (end.status === 'rejected') throw end.reason
      },
    }
  },
})
