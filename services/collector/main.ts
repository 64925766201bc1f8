import { setPriority } from 'node:os'
import { TOPICS } from '../../schemas/topics.ts'
import { runMain, serviceOptions } from '../bus/service.ts'
import { LensError } from '../core/errors.ts'
import { startCollector } from './collector.ts'
import { collectorConfig, usage } from './config.ts'
import { reportCollector } from './report.ts'

await runMain({
  name: 'collector',
  usage,
  options: collectorConfig.extend(serviceOptions),
  async start(config, { bus, codec, log }, health) {
    goFirst(config.nice)
    const partitions = await bus.partitionCounts(TOPICS.map((topic) => topic.name))
    const collector = await startCollector({
      config,
      sink: () => bus.sink(true),
      codec,
      partitions,
      log,
    })
    log(`collector: ${collector.url} -> ${config.upstream}`)
    for (const { prefix, upstream } of config.route) {
      log(`collector: ${collector.url}${prefix} -> ${upstream}`)
    }
    const { ingestUrl } = collector
    if (ingestUrl) log(`collector: records at ${ingestUrl}/v1/token-events`)
    if (ingestUrl) log(`collector: spans at ${ingestUrl}/v1/traces`)
    const endReport = reportCollector(collector.stats, health)
    return {
      async stop() {
        await collector.stop()
        endReport()
      },
    }
  },
})

/** Chunks are stamped when this process gets its turn. */
function goFirst(nice: number): void {
  try {
    if (nice !== 0) setPriority(nice)
  } catch (cause) {
    const message = `--nice=${nice}: ${(cause as Error).message}; below 0 needs CAP_SYS_NICE`
    throw new LensError('configuration_invalid', message, { cause })
  }
}
