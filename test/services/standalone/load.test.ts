import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type LoadResult, startLoad } from '../../../services/standalone/load.ts'
import { quickModel, withEngine } from '../engine/fixture.ts'

const faults = { http429: 0.1, http500: 0.1, inBandError: 0.1, truncated: 0.1 }
const models = [
  { name: 'quick', weight: 3 },
  { name: 'slow', weight: 1 },
]
const tenants = ['acme', 'globex']
const common = { models, tenants, ratePerSecond: 400, seed: 5, concurrencyMax: 500 }

describe('standalone load', () => {
  it('sees every request end as the engine says that it ended', async () => {
    const engineModels = [quickModel({ faults }), quickModel({ name: 'slow' })]
    await withEngine(engineModels, async (engine) => {
      const results: LoadResult[] = []
      const load = startLoad({ ...common, url: engine.url, onResult: (one) => results.push(one) })
      while (load.summary().sent < 300) await sleep(5)
      const summary = await load.stop()
      while (engine.truths.length < summary.sent) await sleep(5)

      expect(summary.inFlight).to.equal(0)
      expect(summary.ok + summary.errors + summary.cancelled).to.equal(summary.sent)
      expect(results).to.have.length(summary.sent)
      const byId = new Map(engine.truths.map((record) => [record.request_id, record]))
      expect(byId.size).to.equal(summary.sent)
      for (const result of results) {
        const truth = byId.get(result.requestId)!
        expect([truth.model, truth.tenant]).to.deep.equal([result.model, result.tenant])
        // One that left at the last moment may have been sent to the end.
        if (result.outcome === 'cancelled') continue
        expect(result.outcome === 'ok').to.equal(truth.status === 'ok')
        if (truth.error_type.startsWith('http_')) {
          expect(result.errorType).to.equal(truth.error_type)
        }
      }
      const types = Object.keys(summary.errorsByType)
      expect(types).to.include.members(['http_429', 'http_500', 'in_band', 'truncated'])
      const quick = results.filter(({ model }) => model === 'quick').length / results.length
      expect(quick).to.be.within(0.65, 0.85)
      expect(new Set(results.map(({ tenant }) => tenant))).to.deep.equal(new Set(tenants))
    })
  })

  it('skips and counts arrivals beyond its limit instead of queueing them', async () => {
    const slow = quickModel({ ttftMs: { median: 1000, sigma: 0 } })
    await withEngine([slow], async (engine) => {
      const only = [{ name: 'quick', weight: 1 }]
      const load = startLoad({ ...common, models: only, url: engine.url, concurrencyMax: 3 })
      while (load.summary().skipped < 20) await sleep(5)
      expect(load.summary()).to.include({ sent: 3, inFlight: 3 })
      await load.stop()
    })
  })

  it('keeps to its rate whether or not the answers keep up', async () => {
    const slow = quickModel({ ttftMs: { median: 400, sigma: 0 }, slots: 500 })
    await withEngine([slow, quickModel({ name: 'slow' })], async (engine) => {
      const startMs = performance.now()
      const load = startLoad({ ...common, url: engine.url })
      while (load.summary().sent < 200) await sleep(5)
      const seconds = (performance.now() - startMs) / 1000
      expect(load.summary().sent / seconds).to.be.within(150, 700)
      await load.stop()
    })
  })

  it('aborts what never ends some seconds after it was stopped', async () => {
    const silent = createServer((incoming) => incoming.resume())
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', () => resolve()))
    const { port } = silent.address() as AddressInfo
    const load = startLoad({ ...common, url: `http://127.0.0.1:${port}/` })
    while (load.summary().sent < 5) await sleep(5)
    const startMs = performance.now()
    const summary = await load.stop()
    expect(performance.now() - startMs).to.be.within(4500, 15_000)
    expect(summary.cancelled).to.equal(summary.sent)
    silent.close()
  })

  it('counts a server that is not there', async () => {
    const load = startLoad({ ...common, url: 'http://127.0.0.1:9' })
    while (load.summary().errors < 3) await sleep(5)
    const { errorsByType } = await load.stop()
    expect(Object.keys(errorsByType)).to.deep.equal(['ECONNREFUSED'])
  })
})
