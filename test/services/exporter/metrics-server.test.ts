import { expect } from 'chai'
import { formFor, startMetricsServer } from '../../../services/exporter/metrics-server.ts'
import type { OtlpExport } from '../../../services/exporter/otlp-processor.ts'
import { createScrapeState } from '../../../services/exporter/scrape-state.ts'
import { otlpPoints } from '../../../services/formats/otlp.ts'
import { viewPoints } from '../../../services/formats/otlp-views.ts'
import { aggregate, T0_MS } from '../formats/records.ts'

const STREAM_MS = 6 * 3_600_000

function said(model: string, start = T0_MS, instance = 'lens.aggregates-0'): OtlpExport {
  const series = { model, endpoint: '', region: '', tenant: '' }
  const points = otlpPoints(aggregate({ series, start, end: start + 60_000, metrics: {} }))
  return { kind: 'otlp-export', points, instance }
}

function modelsIn(state: ReturnType<typeof createScrapeState>): string[] {
  const models = state.points(T0_MS).map(({ point }) => point.attributes['gen_ai.request.model'])
  return [...new Set(models)].map(String).sort()
}

describe('exporter/scrape-state', () => {
  it('has the last point of each series', () => {
    const state = createScrapeState(100)
    const [first, second] = [said('a'), said('a', T0_MS + 60_000)]
    state.take(first)
    const { length } = state.points(T0_MS)
    state.take(second)
    expect(state.points(T0_MS)).to.deep.equal(second.points)
    expect(state.points(T0_MS)).to.have.length(length)
  })

  it('lets go of what a partition said in a stream that is over, and of no other', () => {
    const state = createScrapeState(100)
    state.take(said('a'))
    state.take(said('b', T0_MS, 'lens.aggregates-1'))
    state.take(said('c', T0_MS + STREAM_MS))
    expect(modelsIn(state)).to.deep.equal(['b', 'c'])
    state.reset()
    expect(state.points(T0_MS)).to.deep.equal([])
  })

  it('keeps gauges when totals begin anew, and has room for them beside the totals', () => {
    const window = aggregate({ size_s: 300, series: { model: 'a' }, end: T0_MS + STREAM_MS })
    const views = { ...said('a'), points: viewPoints(window) }
    const state = createScrapeState(views.points.length)
    state.take(said('a'))
    expect(state.take(views)).to.equal(0)
    state.take(said('c', T0_MS + STREAM_MS))
    const { length } = said('c').points
    expect(state.points(T0_MS + STREAM_MS)).to.have.length(length + views.points.length)
    const others = viewPoints({ ...window, series: { model: 'b' }, end: window.end + 900_000 })
    expect(state.take({ ...views, points: others })).to.equal(others.length)
    // What is over makes room.
    state.points(T0_MS + STREAM_MS + 900_000)
    expect(state.take({ ...views, points: others })).to.equal(0)
  })

  it('has gauges of windows for a while', () => {
    const state = createScrapeState(100)
    const window = aggregate({ size_s: 300, series: { model: 'a' }, end: T0_MS })
    state.take({ ...said('a', T0_MS - 60_000), points: viewPoints(window) })
    expect(state.points(T0_MS + 600_000).length).to.be.above(5)
    expect(state.points(T0_MS + 601_000)).to.deep.equal([])
  })

  it('has no room for more series than it may have, keeps those that there are, and says so', () => {
    const { length } = said('a').points
    const state = createScrapeState(length)
    expect(state.take(said('a'))).to.equal(0)
    expect(state.take(said('b'))).to.equal(length)
    expect(state.take(said('a', T0_MS + 60_000))).to.equal(0)
    expect(modelsIn(state)).to.deep.equal(['a'])
    // What is over makes room for what begins.
    expect(state.take(said('c', T0_MS + STREAM_MS))).to.equal(0)
    expect(modelsIn(state)).to.deep.equal(['c'])
  })
})

describe('exporter/metrics-server', () => {
  const PROTOBUF =
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'

  it('gives what a scraper would like best of what there is', () => {
    const cases = {
      '': 'text/plain',
      '*/*': 'text/plain',
      'text/html,*/*;q=0.1': 'text/plain',
      [`${PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3`]:
        'application/vnd.google.protobuf',
      [`application/openmetrics-text;version=1.0.0;q=0.7,${PROTOBUF};q=0.5,*/*;q=0.1`]:
        'application/openmetrics-text',
      'application/vnd.google.protobuf;proto=another;q=1,text/plain;q=0.1': 'text/plain',
    }
    for (const [accept, type] of Object.entries(cases)) {
      expect(formFor(accept).contentType.split(';')[0], accept).to.equal(type)
    }
  })

  it('answers GET /metrics, compressed when asked, and nothing else', async () => {
    const state = createScrapeState(100)
    state.take(said('llama'))
    const server = await startMetricsServer({ state }, { host: '127.0.0.1', port: 0 })
    const response = await fetch(`${server.url}/metrics`)
    expect(response.headers.get('content-encoding')).to.equal('gzip')
    expect(await response.text()).to.contain('gen_ai_request_model="llama"')
    const plain = await fetch(`${server.url}/metrics?x=1`, { headers: { 'accept-encoding': 'br' } })
    expect(plain.headers.get('content-encoding')).to.equal(null)
    const protobuf = await fetch(`${server.url}/metrics`, { headers: { accept: PROTOBUF } })
    expect(protobuf.headers.get('content-type')).to.contain('MetricFamily; encoding=delimited')
    expect((await protobuf.arrayBuffer()).byteLength).to.be.above(500)
    expect((await fetch(`${server.url}/`)).status).to.equal(404)
    await server.stop()
  })
})
