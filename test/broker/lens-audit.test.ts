import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import type { Aggregate, WindowSlice } from '../../schemas/records.ts'
import { AGGREGATES, TOKEN_EVENTS, WINDOW_SLICES } from '../../schemas/topics.ts'
import { partitionOf } from '../../services/core/hash.ts'
import { traffic } from '../pipeline/traffic.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { ENVIRONMENT_TIMEOUT_MS, testEnvironment } from './environment.ts'
import { type ServiceProcess, startService } from './processes.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const PARTITIONS = 3

/** An hour ago, in three whole minutes. */
const START_MS = Math.floor((Date.now() - 3_600_000) / 60_000) * 60_000
const TRAFFIC = {
  ...{ seed: 21, requests: 400, series: 6, startUs: START_MS * 1000, spanUs: 170e6 },
  ...{ chunksMax: 60, lateShare: 0, lateUsMax: 0 },
}

describe('broker/lens-audit', function () {
  this.timeout(120_000)
  let cluster: Cluster
  let env: Readonly<Record<string, string>>
  const running: ServiceProcess[] = []
  let records = 0

  before(async function () {
    this.timeout(ENVIRONMENT_TIMEOUT_MS)
    env = (await testEnvironment()).env
    cluster = await openCluster(env, PARTITIONS)
    const names = ['windowing', 'statistics']
    running.push(...(await Promise.all(names.map((name) => startService(name, env)))))
    await produce()
    await closed()
  })

  after(async () => {
    for (const service of running) await service.end('SIGTERM')
    await cluster?.close()
  })

  async function produce(): Promise<void> {
    const sink = await cluster.bus.sink()
    for (const { record } of traffic(TRAFFIC)) {
      const value = cluster.codec.encode(TOKEN_EVENTS, record)
      const partition = partitionOf(record.request_id, PARTITIONS)
      await sink.append(TOKEN_EVENTS, partition, [{ key: record.request_id, value }])
      records++
    }
    await sink.append(TOKEN_EVENTS, 0, [{ key: null, value: Buffer.from('no avro') }])
    await sink.close()
  }

  /** Waits until the clock has closed the windows of the traffic. */
  async function closed(): Promise<void> {
    const deadline = Date.now() + 60_000
    for (let requests = 0; requests < TRAFFIC.requests; ) {
      if (Date.now() > deadline) {
        expect.fail(`${requests} requests are final\n${running.map((s) => s.output()).join('\n')}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      const all = await cluster.readTopic<Aggregate>(AGGREGATES)
      const fleet = all.filter(({ series, size_s }) => {
        return size_s === 60 && Object.keys(series).length === 0
      })
      const latest = new Map(fleet.map((aggregate) => [aggregate.start, aggregate.requests]))
      requests = [...latest.values()].reduce((sum, n) => sum + n, 0)
    }
  }

  function lens(...argv: string[]) {
    const options = { cwd: ROOT, env: { ...process.env, ...env }, encoding: 'utf8' as const }
    const main = ['services/lens/main.ts', ...argv]
    return spawnSync(process.execPath, main, options)
  }

  it('audits a running system and finds it clean', () => {
    const { status, stdout, stderr } = lens('audit')
    expect(stdout.trim().split('\n').at(-1), `${stdout}\n${stderr}`).equal('audit: clean')
    expect(status).equal(0)
    const { sources, windows, clean } = JSON.parse(lens('audit', '--json').stdout)
    const total = (name: string) =>
      sources.reduce((sum: number, row: Record<string, number>) => sum + row[name]!, 0)
    expect(clean).equal(true)
    expect([total('raw'), total('counted'), total('dead')]).deep.equal([records + 1, records, 1])
    expect(windows[0]).include({ of: '[]', sizeS: 60, sliced: 400, counted: 400, late: 0 })
    expect(windows.length, 'five groupings, three sizes').equal(15)
  })

  it('recomputes the published windows byte for byte', () => {
    const start = new Date(START_MS).toISOString()
    const until = new Date(START_MS + 180_000).toISOString()
    const { status, stdout, stderr } = lens('replay', '--start', start, '--until', until)
    const lines = stdout.trim().split('\n')
    expect(lines.filter((line) => !line.endsWith(': identical'))).deep.equal([])
    expect(lines.length).greaterThan(30)
    expect(stderr).contain(`replay: ${lines.length} identical`)
    expect(status).equal(0)
    const none = lens('replay', '--start', '2020-01-01T00:00:00Z')
    expect(none).include({ status: 1 }).and.property('stderr').contain('no such window')
    expect(lens('replay', '--start', 'noon').stderr).contain('write 2026-11-24T12:00:00Z')
  })

  it('names a forged closing record that overlaps, and ends with 1', async () => {
    const slices = await cluster.readTopic<WindowSlice>(WINDOW_SLICES)
    const own = slices.filter((s) => s.closing?.records && s.source_topic === TOKEN_EVENTS)
    const { source_partition, from, to } = own.at(-1)!
    const forged = { ...own.at(-1)!, from: to - 1, to: to + 5 }
    const sink = await cluster.bus.sink()
    const value = cluster.codec.encode(WINDOW_SLICES, forged)
    await sink.append(WINDOW_SLICES, 1, [{ key: null, value }])
    await sink.close()
    const { status, stdout } = lens('audit')
    const range = `\\[${to - 1}, ${to + 5}\\) in slices-1 overlaps what ended at \\d+`
    const place = `lens.token-events-${source_partition}`
    expect(stdout, `${from}`).match(new RegExp(`FIRST DISCREPANCY overlap: ${place}: ${range}`))
    expect(status).equal(1)
  })
})
