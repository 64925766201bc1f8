import { TOPICS } from '../../schemas/topics.ts'
import { runMain, serviceOptions } from '../bus/service.ts'
import { startCollector } from './collector.ts'
import { collectorConfig, usage } from './config.ts'
import { reportCollector } from './report.ts'

await runMain({
  name: 'collector',
  usage,
  options: collectorConfig.extend(serviceOptions),
  async start(config, { bus, codec, log }, health) {
    const partitions = await bus.partitionCounts(TOPICS.map((topic) => topic.name))
    const collector = await startCollector({
      config,
      sink: () => bus.sink(),
      codec,
      partitions,
      log,
    })
    log(`collector: ${collector.url} -> ${config.upstream}`)
    for (const { prefix, upstream } of config.route) {
      log(`collector: ${collector.url}${prefix} -> ${upstream}`)
    }
    if (collector.ingestUrl) log(`collector: records at ${collector.ingestUrl}/v1/token-events`)
    const endReport = reportCollector(collector.stats, health)
    return {
      async stop() {
        await collector.stop()
        endReport()
      },
    }
  },
})
