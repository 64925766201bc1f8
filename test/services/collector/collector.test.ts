import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { loadConfig } from '../../../services/bus/config.ts'
import { createHealth } from '../../../services/bus/health.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { type Collector, startCollector } from '../../../services/collector/collector.ts'
import { collectorConfig } from '../../../services/collector/config.ts'
import { reportCollector } from '../../../services/collector/report.ts'
import { createFaultyLog, type FaultyLog } from './faulty-sink.ts'
import { stream } from './frames.ts'
import { chatCall, until } from './proxy-fixture.ts'
import { folderOf } from './spool-fixture.ts'
import { startUpstream } from './upstream.ts'

const SSE = { 'content-type': 'text/event-stream' }

function configOf(...argv: string[]) {
  return loadConfig(collectorConfig, { env: {}, argv })
}

const codec = await createCodec(createFileRegistry(readSchemas()), Date.now)

function start(log: FaultyLog, ...argv: string[]): Promise<Collector> {
  return startCollector({
    config: configOf('--port', '0', '--flush-every', '5ms', ...argv),
    sink: log.open,
    codec: { ...codec, encode: (_, value) => Buffer.from(JSON.stringify(value)) },
    partitions: { 'lens.token-events': 3, 'lens.resource-samples': 2 },
    log: () => {},
  })
}

/** The records of a topic in the log, with their keys. */
function records({ stored }: FaultyLog, topic: string) {
  return stored
    .filter((append) => append.topic === topic)
    .flatMap((append) => append.records)
    .map(({ key, value }) => ({ key, ...JSON.parse(Buffer.from(value).toString()) }))
}

/** What a collector has reported: sums of its counts, last values of its levels. */
function createTotals() {
  const totals: Record<string, number> = {}
  const health = {
    ...createHealth('test'),
    count(name: string, times: number) {
      totals[name] = (totals[name] ?? 0) + times
    },
    level(name: string, value: number) {
      totals[`level ${name}`] = value
    },
  }
  return { health, totals }
}

describe('collector', () => {
  it('publishes what passed through and what it scraped, and leaves nothing at its stop', async () => {
    const upstream = await startUpstream((response, { url }) => {
      if (url === '/metrics') response.end('llamacpp:requests_processing 1\n')
      else response.writeHead(200, SSE).end(stream(['a', 'b']))
    })
    const log = createFaultyLog()
    const scrape = ['--scrape-url', `${upstream.url}/metrics`]
    const collector = await start(log, '--upstream', upstream.url, ...scrape)
    const headers = { 'x-lens-tenant': 'acme' }
    await Promise.all(Array.from({ length: 5 }, () => chatCall(collector.url, { headers }).reply))
    await until(() => collector.stats().scrapers[0]!.scrapes > 0)
    await collector.stop()
    const events = records(log, 'lens.token-events')
    const endpoint = new URL(upstream.url).host
    expect(events).to.have.length(5)
    for (const event of events) {
      expect(event).to.include({ endpoint, tenant: 'acme', model: 'llama', key: event.request_id })
      expect(event.end).to.include({ status: 'ok', output_tokens: 2 })
    }
    const samples = records(log, 'lens.resource-samples')
    expect(samples.map(({ name }) => name)).to.include.members(['requests_running', 'up'])
    for (const sample of samples) expect(sample).to.include({ key: endpoint, endpoint })
    const { health, totals } = createTotals()
    reportCollector(collector.stats, health)()
    expect(totals).to.include({ scrape_failed: 0, refused_samples: 0, refused_calls: 0 })
    const { proxy, queue } = collector.stats()
    const none = { faults: {}, refused: { connections: 0, calls: 0, framing: 0 } }
    expect(proxy).to.deep.equal({ requests: 5, measured: 5, open: 0, ...none })
    expect(queue).to.deep.include({ dropped: {}, unknown: 0, queued: 0 })
    expect(log.closed).to.deep.equal([0])
    await upstream.close()
  })

  it('serves its users while the log is away', async () => {
    const upstream = await startUpstream((response) => {
      response.writeHead(200, SSE).end(stream(['a']))
    })
    const log = createFaultyLog(undefined, () => false)
    const collector = await start(log, '--upstream', upstream.url, '--send-deadline', '50ms')
    for (let i = 0; i < 3; i++) {
      expect((await chatCall(collector.url).reply).body.toString()).to.equal(stream(['a']))
    }
    await collector.stop()
    expect(collector.stats().queue.dropped).to.deep.equal({ broker_unavailable: 3 })
    await upstream.close()
  })

  it('keeps records in its spool while the log is away, and sends them after a restart', async () => {
    const upstream = await startUpstream((response) => {
      response.writeHead(200, SSE).end(stream(['a']))
    })
    const spool = ['--spool', join(folderOf(), 'spool')]
    const argv = ['--upstream', upstream.url, '--send-deadline', '50ms', ...spool]
    const away = await start(
      createFaultyLog(undefined, () => false),
      ...argv,
    )
    for (let i = 0; i < 3; i++) await chatCall(away.url).reply
    expect(await start(createFaultyLog(), ...argv).catch((error) => error.message)).to.match(
      /in use by another process; give each collector a --spool of its own/,
    )
    await away.stop()
    expect(away.stats().queue).to.deep.include({ sent: 0, dropped: {}, unknown: 0, queued: 0 })

    const log = createFaultyLog()
    const back = await start(log, ...argv)
    const { health, totals } = createTotals()
    const endReport = reportCollector(back.stats, health)
    await until(() => back.stats().queue.sent === 3)
    await back.stop()
    endReport()
    const ids = records(log, 'lens.token-events').map(({ request_id }) => request_id)
    expect(new Set(ids).size).to.equal(3)
    expect(totals).to.include({ sent: 3, replayed: 3, spool_restored: 3, spooled: 0 })
    expect(totals).to.include({ 'level spool_records': 0, 'level spool_bytes': 0 })
    await upstream.close()
  })

  it('writes no file without a spool, or with one of no size', async () => {
    const folder = join(folderOf(), 'spool')
    for (const argv of [[], ['--spool', folder, '--spool-bytes', '0']]) {
      const collector = await start(createFaultyLog(), ...argv)
      expect(collector.stats().queue).not.to.have.property('spool')
      await collector.stop()
    }
    expect(existsSync(folder)).to.equal(false)
  })

  it('refuses an address that it cannot listen on', async () => {
    const failure = await start(createFaultyLog(), '--host', '203.0.113.1').catch((error) => error)
    expect(failure).to.include({ name: 'LensError', code: 'configuration_invalid' })
    const spool = ['--spool', folderOf()]
    for (let i = 0; i < 2; i++) {
      const again = await start(createFaultyLog(), '--host', '203.0.113.1', ...spool).catch(
        (e) => e,
      )
      expect(again.message).not.to.contain('in use by another process')
    }
  })

  it('reads its configuration, and says what is wrong with it', () => {
    const config = configOf('--scrape-url', 'http://a/m, https://b/m', '--tenant-header', 'X-Org')
    expect(config.scrapeUrl).to.deep.equal(['http://a/m', 'https://b/m'])
    expect(config).to.include({ tenantHeader: 'x-org', port: 8088, scrapeEvery: 2000 })
    for (const argv of [
      ['--upstream', 'ftp://a'],
      ['--scrape-url', 'a'],
      ['--upstream', 'http://user:key@a'],
      ['--scrape-url', 'http://user@a/m'],
      ['--tenant-header', 'a b'],
      ['--queue-records-max', '0'],
      ['--spool-bytes', '-1'],
      ['--no-such'],
    ]) {
      expect(() => configOf(...argv))
        .to.throw()
        .with.property('code', 'configuration_invalid')
    }
  })
})
