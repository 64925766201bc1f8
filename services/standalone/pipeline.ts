import { TOPICS } from '../../schemas/topics.ts'
import { createHealth } from '../bus/health.ts'
import type { Platform } from '../bus/platform.ts'
import type { Stage } from '../bus/run.ts'
import { startStage } from '../bus/service.ts'
import { createTopics } from '../bus/topics.ts'
import { type Collector, startCollector } from '../collector/collector.ts'
import { collectorConfig } from '../collector/config.ts'
import { reportCollector } from '../collector/report.ts'
import { exporterConfig } from '../exporter/config.ts'
import { createParquetThread } from '../exporter/parquet-thread.ts'
import { createRangeSink } from '../exporter/range-writer.ts'
import { lakeStage, otlpStage } from '../exporter/stage.ts'
import { openStore } from '../lake/store.ts'
import { statisticsOptions } from '../statistics/config.ts'
import { statisticsStage } from '../statistics/stage.ts'
import { triggersOptions } from '../triggers/config.ts'
import { triggersStage } from '../triggers/stage.ts'
import { windowingOptions } from '../windowing/config.ts'
import { windowingStage } from '../windowing/stage.ts'
import type { StandaloneConfig } from './config.ts'
import type { Upstream } from './source.ts'

/** The tap and every stage behind it, in this process. */
export interface StandalonePipeline {
  readonly collector: Collector
  /** Where the lake lies, for a person. */
  readonly lake: string
  /** Stops the tap, lets what it has sent pass through every stage, then stops those. */
  drain(): Promise<void>
}

/** One file per 30 s of arrivals, so that a short run leaves some. */
const ROLL = '30s'
const DRAIN_MAX_MS = 10_000
const DRAIN_LOOK_MS = 100

/** Creates the topics and starts windowing, statistics, triggers, exporter, then the tap. */
export async function startPipeline(
  config: StandaloneConfig,
  platform: Platform,
  upstream: Upstream,
  end: (failure: unknown) => void,
): Promise<StandalonePipeline> {
  const { bus, codec, clock, log } = platform
  await createTopics(bus, { partitions: config.partitions, replication: 1 })
  const store = await openStore(config.lakeUrl, process.env)
  // One process has one clock: nothing has to be allowed for.
  const cutMargin = config.kafkaBrokers ? '2s' : '0s'
  const windowingHealth = createHealth('windowing')
  const statisticsHealth = createHealth('statistics')
  const triggersHealth = createHealth('triggers')
  const windowing = windowingStage(windowingOptions.parse({ cutMargin }), codec, windowingHealth)
  const statistics = statisticsStage(statisticsOptions.parse({}), codec, statisticsHealth, log)
  const rules = triggersOptions.parse({ rules: config.rules })
  const triggers = triggersStage(rules, triggersHealth)
  const health = createHealth('exporter')
  const sink = createRangeSink(store, createParquetThread())
  const lake = lakeStage(exporterConfig.parse({ roll: ROLL }), sink, health)
  const otlp = otlpStage(
    exporterConfig.parse({ otlpEndpoint: config.otlpEndpoint }),
    health,
    process.env,
    log,
  )
  const stages: Stage[] = [
    await startStage(windowing, platform, windowingHealth, end),
    await startStage(statistics, platform, statisticsHealth, end),
    await startStage(triggers, platform, triggersHealth, end),
    await startStage(lake, platform, health, end),
  ]
  if (otlp) stages.push(await startStage(otlp, platform, health, end))
  const collector = await startCollector({
    config: collectorConfig.parse({
      upstream: upstream.url,
      port: config.port,
      ingestPort: config.ingestPort,
      provider: upstream.provider,
      endpoint: upstream.endpoint,
      scrapeUrl: upstream.scrapeUrl,
      stopGrace: '2s',
    }),
    sink: () => bus.sink(true),
    codec,
    partitions: await bus.partitionCounts(TOPICS.map((topic) => topic.name)),
    log,
  })

  const endReport = reportCollector(collector.stats, createHealth('collector'))

  async function until(isSettled: () => Promise<boolean>): Promise<void> {
    const deadlineMs = clock.monotonicMs() + DRAIN_MAX_MS
    while (!(await isSettled()) && clock.monotonicMs() < deadlineMs) {
      await clock.sleep(DRAIN_LOOK_MS)
    }
  }

  return {
    collector,
    lake: store.describe,
    async drain() {
      await collector.stop()
      // In the order of the flow: what one stage has not published, the next cannot read. The
      // exporter does not commit by itself: stop() makes it write what it holds.
      for (const stage of stages.slice(0, 3)) await until(stage.isCaughtUp)
      for (const stage of stages.slice(3)) await until(stage.hasReadAll)
      let unfinished: unknown = null
      for (const stage of stages) {
        await stage.stop().catch((error) => {
          unfinished ??= error
        })
      }
      endReport()
      if (unfinished) throw unfinished
    },
  }
}
