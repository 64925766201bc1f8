import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Aggregate } from '../../../schemas/records.ts'
import { otlpJson, otlpMetrics, otlpPoints, otlpProtobuf } from '../../../services/formats/otlp.ts'
import { viewPoints } from '../../../services/formats/otlp-views.ts'
import { readOtlp } from './read-otlp.ts'
import { aggregate, distributionOf, T0_MS } from './records.ts'

const START = `${T0_MS}000000`
const END = `${T0_MS + 60_000}000000`
const SERIES = [
  ['gen_ai.operation.name', 'chat'],
  ['gen_ai.request.model', 'größe'],
  ['latency_lens.endpoint', 'ep-1'],
  ['latency_lens.region', ''],
  ['latency_lens.tenant', 'acme'],
] as const

function attributes(more: readonly (readonly [string, string])[] = []): unknown {
  return [...SERIES, ...more].map(([key, value]) => ({ key, value: { string_value: value } }))
}

const ALL_MEASURES: Aggregate = aggregate({
  series: { model: 'größe', endpoint: 'ep-1', region: '', tenant: 'acme' },
  requests: 2 ** 53 - 1,
  errors: 2 ** 33,
  cancelled: 5,
  input_tokens: 0,
  output_tokens: 91,
  chunks: 90,
  metrics: {
    ttft_us: distributionOf([100_000, 120_000, 0]),
    chunk_gap_us: distributionOf([1]),
    itl_us: distributionOf([3, 2 ** 40]),
    tpot_us: distributionOf([20_000]),
    e2e_us: distributionOf([2_000_000]),
    queue_us: distributionOf([0]),
    guard_us: distributionOf([700]),
    guard_share: distributionOf([1]),
  },
})

function histogram(name: string, measure: string): unknown {
  const { count, sum, min, max, histogram: own } = ALL_MEASURES.metrics[measure]!
  const hasBuckets = own.counts.length > 0
  const buckets = { offset: own.offset - 1276, bucket_counts: own.counts.map(String) }
  const point = {
    attributes: attributes(),
    start_time_unix_nano: START,
    time_unix_nano: END,
    count: String(count),
    sum: sum / 1e6,
    scale: 6,
    ...(own.zero_count > 0 ? { zero_count: String(own.zero_count) } : {}),
    positive: hasBuckets ? buckets : {},
    negative: {},
    min: min / 1e6,
    max: max / 1e6,
  }
  const data_points = [point]
  const data = { data_points, aggregation_temporality: 'AGGREGATION_TEMPORALITY_DELTA' }
  return { name, unit: 's', exponential_histogram: data }
}

function sum(
  name: string,
  unit: string,
  points: readonly (readonly [number, ...string[]])[],
): unknown {
  const data_points = points.map(([value, key, label]) => ({
    attributes: attributes(key === undefined ? [] : [[key, label!]]),
    start_time_unix_nano: START,
    time_unix_nano: END,
    as_int: String(value),
  }))
  const aggregation_temporality = 'AGGREGATION_TEMPORALITY_DELTA'
  return { name, unit, sum: { data_points, aggregation_temporality, is_monotonic: true } }
}

const EXPECTED = [
  histogram('gen_ai.client.operation.time_to_first_chunk', 'ttft_us'),
  histogram('gen_ai.client.operation.time_per_output_chunk', 'chunk_gap_us'),
  histogram('latency_lens.inter_token_latency', 'itl_us'),
  histogram('latency_lens.time_per_output_token', 'tpot_us'),
  histogram('gen_ai.client.operation.duration', 'e2e_us'),
  histogram('latency_lens.queue.duration', 'queue_us'),
  histogram('latency_lens.guard.duration', 'guard_us'),
  sum('latency_lens.requests', '{request}', [
    [2 ** 53 - 1 - 2 ** 33 - 5, 'status', 'ok'],
    [2 ** 33, 'status', 'error'],
    [5, 'status', 'cancelled'],
  ]),
  sum('latency_lens.tokens', '{token}', [
    [0, 'gen_ai.token.type', 'input'],
    [91, 'gen_ai.token.type', 'output'],
  ]),
  sum('latency_lens.chunks', '{chunk}', [[90]]),
]

describe('formats/otlp', function () {
  this.timeout(300_000)
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-otlp-'))
  })
  after(() => rm(folder, { recursive: true }))

  it("says in protobuf and in JSON what Google's decoder should read, field by field", async () => {
    const metrics = otlpMetrics(otlpPoints(ALL_MEASURES), 'lens.aggregates-3', true)
    const files = { 'a.bin': otlpProtobuf(metrics), 'a.json': otlpJson(metrics) }
    const paths = Object.keys(files).map((name) => join(folder, name))
    for (const [name, body] of Object.entries(files)) await writeFile(join(folder, name), body)
    const decoded = await readOtlp(paths)
    expect(decoded).to.have.length(2)
    for (const { resource_metrics } of decoded) {
      expect(resource_metrics).to.have.length(1)
      const [{ resource, scope_metrics }] = resource_metrics
      expect(resource).to.deep.equal({
        attributes: [
          { key: 'service.name', value: { string_value: 'llm-latency-lens' } },
          { key: 'service.instance.id', value: { string_value: 'lens.aggregates-3' } },
        ],
      })
      expect(scope_metrics).to.have.length(1)
      expect(scope_metrics[0].scope).to.deep.equal({ name: 'latency_lens' })
      const plain = scope_metrics[0].metrics.map(({ description, ...metric }) => {
        expect(description).to.be.a('string').that.is.not.empty
        return metric
      })
      expect(plain).to.deep.equal(EXPECTED)
    }
  })

  it('says of a window as gauges what is no total, in seconds and shares', async () => {
    const gauges = { gpu: { count: 1, min: 0, max: 1, mean: 0.5, last: 1 } }
    const window = { ...ALL_MEASURES, size_s: 900, goodput: null, gauges }
    const path = join(folder, 'view.bin')
    await writeFile(path, otlpProtobuf(otlpMetrics(viewPoints(window), 'i', false)))
    const [decoded] = await readOtlp([path])
    const { metrics } = decoded!.resource_metrics[0].scope_metrics[0]
    expect(metrics.map(({ name, unit }) => [name, unit])).deep.equal([
      ...['ttft', 'chunk_gap', 'itl', 'tpot', 'e2e', 'queue', 'guard'].map((name) => [
        `latency_lens.view.${name}`,
        's',
      ]),
      ['latency_lens.view.guard_share', '1'],
      ['latency_lens.view.observations', '{observation}'],
      ['latency_lens.view.requests', '{request}/s'],
      ['latency_lens.view.output_tokens', '{token}/s'],
      ['latency_lens.view.errors', '1'],
      ['latency_lens.view.resource', undefined],
    ])
    const tpot = metrics[3]!.gauge?.data_points
    const more = [
      ['window', '15m'],
      ['grouping', 'endpoint,model,region,tenant'],
    ] as const
    expect(tpot).to.deep.equal(
      ['0.5', '0.95', '0.99'].map((quantile) => ({
        attributes: attributes([...more, ['quantile', quantile]]),
        start_time_unix_nano: START,
        time_unix_nano: END,
        as_double: 0.02,
      })),
    )
    expect(metrics[7]!.gauge?.data_points[0]?.as_double).to.equal(2 ** -20)
  })

  it('has no point for a measure without an observation', () => {
    const empty = { ...distributionOf([1]), count: 0 }
    const names = otlpPoints(aggregate({ metrics: { itl_us: empty } })).map((p) => p.metric)
    expect(new Set(names)).to.deep.equal(
      new Set(['latency_lens.requests', 'latency_lens.tokens', 'latency_lens.chunks']),
    )
  })

  it('puts the points of many series into one metric each', () => {
    const points = [1, 2, 3].flatMap((i) => otlpPoints(aggregate({ series: { model: `m${i}` } })))
    const { metrics } = otlpMetrics(points, 'i', false).scopeMetrics[0]!
    expect(metrics.map((m) => [m.descriptor.name, m.dataPoints.length])).to.deep.equal([
      ['gen_ai.client.operation.time_to_first_chunk', 3],
      ['gen_ai.client.operation.duration', 3],
      ['latency_lens.requests', 9],
      ['latency_lens.tokens', 6],
      ['latency_lens.chunks', 3],
    ])
  })

  it('names other dimensions after themselves, and the provider by the convention', () => {
    const [first] = otlpPoints(aggregate({ series: { provider: 'vllm', team: 'x' } }))
    expect(first!.point.attributes).to.deep.equal({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'vllm',
      'latency_lens.team': 'x',
    })
  })
})
