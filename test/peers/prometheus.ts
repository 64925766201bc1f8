/**
 * npm run test:prometheus: what Prometheus makes of our OTLP and of our scrape, beside our own
 * aggregates.
 */
import { expect } from 'chai'
import type { Aggregate } from '../../schemas/records.ts'
import { AGGREGATES } from '../../schemas/topics.ts'
import { bucketMiddle } from '../../services/core/histogram/bucket.ts'
import { createRandom } from '../../services/core/random.ts'
import { seriesOf } from '../../services/core/windows/series.ts'
import { createExemplars } from '../../services/exporter/exemplars.ts'
import { startMetricsServer } from '../../services/exporter/metrics-server.ts'
import { createHttpTransport } from '../../services/exporter/otlp-http.ts'
import { createOtlpProcessor } from '../../services/exporter/otlp-processor.ts'
import { createOtlpSender } from '../../services/exporter/otlp-sender.ts'
import { readOtlpSettings } from '../../services/exporter/otlp-settings.ts'
import { createOtlpStream } from '../../services/exporter/otlp-stream.ts'
import { createScrapeState } from '../../services/exporter/scrape-state.ts'
import { otlpMetrics, otlpProtobuf } from '../../services/formats/otlp.ts'
import { aggregate, distributionOf, requestEnd, tokenEvents } from '../services/formats/records.ts'
import { type Prometheus, startPrometheus } from './prometheus-server.ts'

const RULES = new URL('../../infra/prometheus/rules.yml', import.meta.url).pathname
/** Three scrapes, and what came by OTLP. */
const JOBS = ['native', 'openmetrics', 'text', 'llm-latency-lens']
const GROUPING = ['model', 'endpoint', 'region', 'tenant']
const MODELS = ['llama', 'größe', 'a "quoted" \\ name']
const MINUTES = 4
const QUANTILES = [0.5, 0.9, 0.99]
const TTFT = 'gen_ai_client_operation_time_to_first_chunk_seconds'
/** A bucket of ours, and what a division by 10^6 moves it at most. */
const BUCKETS_OFF_MAX = 1 + 0.38

interface Rules {
  readonly data: {
    readonly groups: readonly {
      readonly rules: readonly { readonly health: string; readonly lastError?: string }[]
    }[]
  }
}

interface Examples {
  readonly data: readonly {
    readonly seriesLabels: Readonly<Record<string, string>>
    readonly exemplars: readonly {
      readonly labels: Readonly<Record<string, string>>
      readonly value: string
    }[]
  }[]
}

/** A request that ended just now, with a TTFT that others of its series have too. */
const ENDED = {
  request_id: 'req-of-note',
  started_at: (Date.now() - 1_000) * 1000,
  end: { ...requestEnd(), ttft_us: 21_000, duration_us: 500_000 },
}

/** Minutes that have ended by now, of three models, with a thousand values each. */
function windows(): Aggregate[] {
  const random = createRandom(3)
  const lastMs = Math.floor(Date.now() / 60_000) * 60_000
  return MODELS.flatMap((model, m) =>
    Array.from({ length: MINUTES }, (_, i) => {
      const start = lastMs - (MINUTES - i) * 60_000
      const values = Array.from({ length: 1_000 }, () => Math.floor(Math.exp(8 + m + 4 * random())))
      const e2e_us = distributionOf([0, 5, ...Array(50).fill(7e6)])
      const metrics = { ttft_us: distributionOf(values), e2e_us }
      const series = { model, endpoint: `e-${m}`, region: '', tenant: 't' }
      const counts = { requests: 1_000 + i, errors: 100 }
      return aggregate({ series, start, end: start + 60_000, ...counts, metrics })
    }),
  )
}

/** Five minutes of each endpoint; the GPU of the first is idle. */
function views(): Aggregate[] {
  const end = Math.floor(Date.now() / 60_000) * 60_000
  const metrics = { e2e_us: distributionOf(Array(150).fill(7e6)) }
  return MODELS.map((_, m) => {
    const mean = m === 0 ? 0.2 : 0.95
    const gauges = { gpu_utilization: { count: 9, min: 0, max: 1, mean, last: 0.5 } }
    const size = { size_s: 300, start: end - 300_000, end, requests: 600 }
    return aggregate({ ...size, series: { endpoint: `e-${m}` }, metrics, gauges })
  })
}

/** Waits until something is so, and fails when it does not come to be. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 60_000
  while (!(await isSo())) {
    expect(Date.now(), String(isSo)).below(endMs)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

describe('Prometheus', function () {
  this.timeout(1_800_000)
  let all: Aggregate[]
  const state = createScrapeState(10_000)
  let prometheus: Prometheus
  let stopServer: () => Promise<void>

  before(async () => {
    // Rules look two minutes back, for two points at least.
    await until(async () => Date.now() % 60_000 < 30_000)
    all = windows()
    const exemplars = createExemplars(GROUPING, 10_000)
    const { labels } = seriesOf(all[0]!.series)
    exemplars.see(tokenEvents({ ...labels, ...ENDED }))
    const server = await startMetricsServer({ state, exemplars }, { host: '127.0.0.1', port: 0 })
    stopServer = server.stop
    const target = `static_configs: [{targets: ["${server.url.slice('http://'.length)}"]}]`
    const config = `
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [${RULES}]
otlp: { translation_strategy: UnderscoreEscapingWithSuffixes }
storage: { tsdb: { out_of_order_time_window: 30m } }
scrape_configs:
  - { job_name: native, scrape_native_histograms: true, ${target} }
  - { job_name: openmetrics, scrape_protocols: [OpenMetricsText1.0.0], ${target} }
  - { job_name: text, scrape_protocols: [PrometheusText0.0.4], ${target} }
`
    prometheus = await startPrometheus(config)
    const place = { topic: AGGREGATES, partition: 0 }
    const assignment = { ...place, committed: null, firstOffset: 0, changelog: [], partitions: {} }
    const options = {
      grouping: GROUPING,
      views: [['endpoint']],
      temporality: 'cumulative',
    } as const
    const processor = createOtlpProcessor(assignment, options)
    const records = [...all, ...views()].map((value, offset) => ({
      offset,
      appendMs: 0,
      value,
      bad: null,
    }))
    const settings = readOtlpSettings('metrics', `${prometheus.url}/api/v1/otlp`, {})!
    const sender = createOtlpSender(createHttpTransport(settings, Date.now))
    for (const effect of processor.onBatch({ ...place, records }).effects) {
      expect(state.take(effect)).equal(0)
      const { points, instance } = effect
      const body = otlpProtobuf(otlpMetrics(points, instance, false))
      // A repeat, as after a crash, must change nothing.
      await sender.send(body, points.length)
      await sender.send(body, points.length)
    }
    expect(sender.stats).deep.include({ rejected: 0, requestsRejected: 0 })
    const jobs = async () => prometheus.query('count by (job) (latency_lens_requests_total)')
    await until(async () => (await jobs()).length === JOBS.length)
  })
  after(async () => {
    await prometheus?.stop()
    await stopServer?.()
  })

  /** All minutes of a model as one. */
  function totalOf(model: string): Aggregate {
    const stream = createOtlpStream('cumulative')
    const own = all.filter(({ series }) => series.model === model)
    return own.map((window) => stream.add(window)).at(-1) as Aggregate
  }

  /** The value that our own histogram has at a quantile, in seconds. */
  function quantile(model: string, q: number): number {
    const { count, histogram } = totalOf(model).metrics.ttft_us!
    let left = Math.ceil(q * count) - histogram.zero_count
    let index = -1
    while (left > 0) left -= histogram.counts[++index]!
    return bucketMiddle(histogram.offset + index) / 1e6
  }

  async function one(promql: string): Promise<number> {
    const samples = await prometheus.query(promql)
    expect(samples, promql).length(1)
    return samples[0]!.value
  }

  it('evaluates the rules that ship', async () => {
    const evaluated = async () => {
      const response = await fetch(`${prometheus.url}/api/v1/rules`)
      const { data } = (await response.json()) as Rules
      return data.groups.flatMap((group) => group.rules)
    }
    await until(async () => (await evaluated()).every(({ health }) => health !== 'unknown'))
    const rules = await evaluated()
    expect(rules.map(({ health, lastError }) => lastError ?? health)).deep.equal(
      Array(rules.length).fill('ok'),
    )
    expect(rules.length).equal(6)
  })

  it('has larger windows as gauges, and names who is slow with a busy GPU', async () => {
    for (const job of JOBS) {
      const labels = `{job="${job}", latency_lens_endpoint="e-1", window="5m"}`
      expect(await one(`latency_lens_view_requests_per_second${labels}`)).equal(2)
    }
    const firing = 'ALERTS{alertname="gpu-saturated-and-slow", job="native"}'
    await until(async () => (await prometheus.query(firing)).length > 0)
    const endpoints = await prometheus.query(firing)
    expect(endpoints.map(({ labels }) => labels.latency_lens_endpoint).sort()).deep.equal([
      'e-1',
      'e-2',
    ])
  })

  it('raises the alerts whose conditions hold, for each model, and no other', async () => {
    const names = async () => {
      const firing = await prometheus.query('count by (alertname) (ALERTS{alertstate="firing"})')
      return firing.map(({ labels }) => labels.alertname).sort()
    }
    await until(async () => (await names()).length === 3)
    expect(await names()).deep.equal(['e2e-p95-high', 'error-rate-high', 'gpu-saturated-and-slow'])
    const slow = await prometheus.query('ALERTS{alertname="e2e-p95-high"}')
    expect(slow.map(({ labels }) => labels.gen_ai_request_model).sort()).deep.equal(
      MODELS.toSorted(),
    )
  })

  it('keeps a request as an example of its bucket, of native histograms and of classic ones', async () => {
    const end = Date.now() / 1000 + 60
    const query = new URLSearchParams({
      query: `{job=~"native|openmetrics"}`,
      start: '0',
      end: `${end}`,
    })
    const response = await fetch(`${prometheus.url}/api/v1/query_exemplars?${query}`)
    const { data } = (await response.json()) as Examples
    const found = data.map(({ seriesLabels, exemplars }) => {
      return [seriesLabels.job, exemplars[0]!.labels.request_id, Number(exemplars[0]!.value)]
    })
    const ttft = found.filter(([, , value]) => value === ENDED.end.ttft_us / 1e6)
    expect(ttft.map(([job, id]) => `${job} ${id}`).sort()).deep.equal([
      `native ${ENDED.request_id}`,
      `openmetrics ${ENDED.request_id}`,
    ])
  })

  for (const job of JOBS) {
    it(`has our counts from ${job}`, async () => {
      for (const [m, model] of MODELS.entries()) {
        const { requests, errors, cancelled } = totalOf(model)
        const labels = `{job="${job}", latency_lens_endpoint="e-${m}", status="ok"}`
        const sample = await prometheus.query(`latency_lens_requests_total${labels}`)
        expect(sample.map(({ value }) => value)).deep.equal([requests - errors - cancelled])
        expect(sample[0]!.labels.gen_ai_request_model).equal(model)
      }
    })
  }

  for (const job of ['native', 'llm-latency-lens']) {
    it(`agrees on quantiles within a bucket's width, from ${job}`, async () => {
      for (const [m, model] of MODELS.entries()) {
        const { count, sum } = totalOf(model).metrics.ttft_us!
        const histogram = `${TTFT}{job="${job}", latency_lens_endpoint="e-${m}"}`
        expect(await one(`histogram_count(${histogram})`)).equal(count)
        expect(await one(`histogram_sum(${histogram})`)).closeTo(sum / 1e6, 1e-6)
        for (const q of QUANTILES) {
          const theirs = await one(`histogram_quantile(${q}, ${histogram})`)
          const buckets = 64 * Math.abs(Math.log2(theirs / quantile(model, q)))
          expect(buckets, `${model} ${q}`).lessThan(BUCKETS_OFF_MAX)
        }
      }
    })
  }

  for (const job of ['openmetrics', 'text']) {
    it(`agrees on quantiles within a classic bucket, from ${job}`, async () => {
      for (const [m, model] of MODELS.entries()) {
        const buckets = `${TTFT}_bucket{job="${job}", latency_lens_endpoint="e-${m}"}`
        for (const q of QUANTILES) {
          const theirs = await one(`histogram_quantile(${q}, ${buckets})`)
          expect(theirs / quantile(model, q), `${model} ${q}`).within(1 / 2.6, 2.6)
        }
      }
    })
  }
})
