import type { TokenEvents } from '../../schemas/records.ts'
import { RESOURCE_SAMPLES, TOKEN_EVENTS } from '../../schemas/topics.ts'
import type { Codec } from '../bus/codec.ts'
import type { Sink } from '../bus/port.ts'
import { type Clock, SYSTEM_CLOCK, SYSTEM_TIMERS, type Timers } from './clock.ts'
import type { CollectorConfig } from './config.ts'
import { type Ingest, type IngestStats, startIngest } from './ingest.ts'
import { type ProxyStats, startProxy } from './proxy.ts'
import { createQueue, type Queue, type QueueStats } from './queue.ts'
import { endpointOf } from './routes.ts'
import { createRuns } from './runs.ts'
import { type Scraper, type ScraperStats, startScraper } from './scraper.ts'
import { openSpool } from './spool.ts'
import { ownSource } from './target.ts'
import { openTokenCounts } from './token-counts.ts'

export interface CollectorParts {
  readonly config: CollectorConfig
  /** Opens a sink; called again after each failed send. */
  readonly sink: () => Promise<Sink>
  readonly codec: Codec
  /** Partition counts of lens.token-events and, to scrape, lens.resource-samples. */
  readonly partitions: Readonly<Record<string, number>>
  readonly log: (line: string) => void
  readonly clock?: Clock
  readonly timers?: Timers
}

export interface CollectorStats {
  readonly proxy: ProxyStats
  readonly queue: QueueStats
  readonly scrapers: readonly ScraperStats[]
  /** Null when it is not switched on. */
  readonly ingest: IngestStats | null
}

export interface Collector {
  /** Where clients send their requests. */
  readonly url: string
  /** Where other programs send their records; null when it is not switched on. */
  readonly ingestUrl: string | null
  stats(): CollectorStats
  /** Lets open requests end for the grace, breaks the rest off, sends the records that are left. */
  stop(): Promise<void>
}

/**
 * Starts proxy, queue and scrapers. Throws LensError configuration_invalid if it cannot listen or
 * cannot have its spool.
 */
export async function startCollector(parts: CollectorParts): Promise<Collector> {
  const opened: (() => unknown)[] = []
  try {
    return await start(parts, (close) => opened.push(close))
  } catch (error) {
    for (const close of opened.reverse()) await close()
    throw error
  }
}

/** `opens` hears how what is open is closed again, should the rest fail. */
async function start(
  parts: CollectorParts,
  opens: (close: () => unknown) => void,
): Promise<Collector> {
  const { config, log, clock = SYSTEM_CLOCK, timers = SYSTEM_TIMERS } = parts
  const { spool: folder, spoolBytes: spoolBytesMax } = config
  const spooling = folder !== '' && spoolBytesMax > 0
  const spool = spooling ? openSpool({ folder, bytesMax: spoolBytesMax, log, clock }) : undefined
  opens(() => spool?.close())
  const queue = createQueue({
    sink: parts.sink,
    encode: parts.codec.encode,
    partitions: parts.partitions,
    flushMs: config.flushEvery,
    recordsMax: config.queueRecordsMax,
    bytesMax: config.queueBytesMax,
    deadlineMs: config.sendDeadline,
    spool,
    log,
    clock,
    timers,
  })
  const publish = (record: TokenEvents) => queue.add(TOKEN_EVENTS, record.request_id, record)
  const { tokenizer } = config
  const tokenCounts = tokenizer.length > 0 ? await openTokenCounts(tokenizer, publish, log) : null
  opens(() => tokenCounts?.stop())
  const { provider, region, model } = config
  const endpoint = config.endpoint || endpointOf(new URL(config.upstream))
  const main = { prefix: '', upstream: config.upstream, endpoint, provider }
  const proxy = await startProxy({
    routes: [main, ...config.route],
    host: config.host,
    port: config.port,
    labels: { source: config.source || ownSource(), region, model },
    tenantHeader: config.tenantHeader,
    guardHeaders: config.guardHeaders,
    headTimeoutMs: config.headTimeout,
    clientKeepAliveMs: config.clientKeepAlive,
    connectTimeoutMs: config.connectTimeout,
    idleTimeoutMs: config.upstreamTimeout,
    keepAliveMs: config.upstreamKeepAlive,
    connectionsMax: config.connectionsMax,
    runs: createRuns(config.runEvery, timers),
    publish,
    tokenCounts,
    clock,
    timers,
  })
  opens(() => proxy.stop(0))
  const ingest = await openIngest(parts, queue, clock)
  const scrapers = startScrapers(config, endpoint, queue, { log, clock, timers })
  return {
    url: proxy.url,
    ingestUrl: ingest?.url ?? null,
    stats: () => ({
      proxy: proxy.stats(),
      queue: queue.stats(),
      scrapers: scrapers.map((scraper) => scraper.stats()),
      ingest: ingest?.stats() ?? null,
    }),
    async stop() {
      const stopped = scrapers.map((scraper) => scraper.stop())
      await proxy.stop(config.stopGrace)
      await Promise.all([...stopped, ingest?.stop(), tokenCounts?.stop()])
      await queue.close()
    },
  }
}

/** Records in one body; no more than have room. */
const INGEST_RECORDS_MAX = 1_000

async function openIngest(
  { config, codec }: CollectorParts,
  queue: Queue,
  clock: Clock,
): Promise<Ingest | null> {
  if (config.ingestPort === 0) return null
  return await startIngest({
    host: config.ingestHost,
    port: config.ingestPort,
    codec,
    queue,
    recordsMax: Math.min(INGEST_RECORDS_MAX, config.queueRecordsMax),
    nowMs: () => clock.wallUs() / 1000,
  })
}

function startScrapers(
  config: CollectorConfig,
  endpoint: string,
  queue: Queue,
  surroundings: Pick<Required<CollectorParts>, 'log' | 'clock' | 'timers'>,
): readonly Scraper[] {
  return config.scrapeUrl.map((url) =>
    startScraper({
      url,
      everyMs: config.scrapeEvery,
      timeoutMs: config.scrapeTimeout,
      endpoint,
      region: config.region,
      publish: (sample) => queue.add(RESOURCE_SAMPLES, sample.endpoint, sample),
      ...surroundings,
    }),
  )
}
