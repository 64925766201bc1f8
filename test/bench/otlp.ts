import type { Attributes, Counter, Histogram } from '@opentelemetry/api'
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer'
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  MetricReader,
} from '@opentelemetry/sdk-metrics'
import avro from 'avsc'
import type { Aggregate } from '../../schemas/records.ts'
import { AGGREGATES } from '../../schemas/topics.ts'
import { createCodec, HEADER_BYTES, readSchemas } from '../../services/bus/codec.ts'
import { createFileRegistry } from '../../services/bus/registry.ts'
import { MEASURES } from '../../services/core/measure/measures.ts'
import { createRandom } from '../../services/core/random.ts'
import { DEFAULT_GROUPINGS } from '../../services/core/windows/series.ts'
import { createOtlpProcessor } from '../../services/exporter/otlp-processor.ts'
import { otlpMetrics, otlpPoints, otlpProtobuf } from '../../services/formats/otlp.ts'
import { NOON_MS } from '../records.ts'
import type { Bench } from './figure.ts'
import { countedOf, type Measured, measuredOf, seriesLabels, windowOf } from './fleet.ts'
import { race } from './race.ts'

const SERIES = 1_000
const REQUESTS = 4
const CHUNKS = 50

/** Buckets that the SDK may have: what it needs at our scale for these values. */
const BUCKETS_MAX = 320

/** One minute of each series to the body of an OTLP request, beside OpenTelemetry's own SDK. */
export const otlp: Bench = {
  async *run({ seed, runs, share }) {
    const random = createRandom(seed)
    const places = Array.from({ length: Math.ceil(SERIES * share) }, (_, place) => place)
    const measured = places.map(() => measuredOf(REQUESTS, CHUNKS, random))
    const windows = places.map((place) => counted(place, measured[place]!))
    const points = windows.reduce((sum, window) => sum + otlpPoints(window).length, 0)
    const bytes = await encoded(windows)
    const type = avro.Type.forSchema(JSON.parse(readSchemas().aggregate!), { wrapUnions: false })
    const sdk = { recording: createSdk(true), collecting: createSdk(false) }
    record(sdk.collecting, measured)
    const rates = await race(
      {
        ours: () => exported(windows),
        oursFromValues: () => exported(measured.map((own, place) => counted(place, own))),
        avsc() {
          for (const each of bytes) type.decode(each, HEADER_BYTES)
          return points
        },
        sdk: () => sdk.collecting.collect(),
        sdkFromValues() {
          record(sdk.recording, measured)
          return sdk.recording.collect()
        },
      },
      { runs, atLeastMs: 300 * share },
    )
    const unit = 'points/s'
    yield {
      ...{ what: 'OTLP, aggregates to bytes', unit, values: rates.ours },
      peer: { name: 'OTel SDK, collected to bytes', values: rates.sdk },
    }
    yield {
      ...{ what: 'OTLP, aggregates to bytes', unit, values: rates.ours },
      peer: { name: 'limit: avsc reads the aggregates', values: rates.avsc },
    }
    yield {
      ...{ what: `OTLP, ${measured[0]!.length} values a series to bytes`, unit },
      values: rates.oursFromValues,
      peer: { name: 'OTel SDK, recorded and collected', values: rates.sdkFromValues },
    }
  },
}

function counted(place: number, own: readonly Measured[]): Aggregate {
  return windowOf(place, 60, countedOf(REQUESTS, CHUNKS, own))
}

async function encoded(windows: readonly Aggregate[]): Promise<Buffer[]> {
  const codec = await createCodec(createFileRegistry(readSchemas()), () => NOON_MS)
  return windows.map((window) => Buffer.from(codec.encode(AGGREGATES, window)))
}

/** As the exporter does it: a batch, and a request for each of its effects. */
function exported(windows: readonly Aggregate[]): number {
  const place = { topic: AGGREGATES, partition: 0 }
  const assignment = { ...place, committed: null, firstOffset: 0, changelog: [], partitions: {} }
  const processor = createOtlpProcessor(assignment, {
    grouping: DEFAULT_GROUPINGS[0]!,
    views: [],
    temporality: 'cumulative',
  })
  const records = windows.map((value, offset) => ({ offset, appendMs: 0, value, bad: null }))
  for (const { points, instance } of processor.onBatch({ ...place, records }).effects) {
    otlpProtobuf(otlpMetrics(points, instance, false))
  }
  return processor.stats.points
}

interface Sdk {
  readonly histograms: readonly Histogram[]
  readonly counters: Readonly<Record<'requests' | 'tokens' | 'chunks', Counter>>
  /** Data points that were turned into bytes. */
  collect(): Promise<number>
}

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

/** The same instruments. What is delta is gone once it was collected; the other can be again. */
function createSdk(isDelta: boolean): Sdk {
  const { DELTA, CUMULATIVE } = AggregationTemporality
  const type = AggregationType.EXPONENTIAL_HISTOGRAM
  const reader = new Reader({
    aggregationTemporalitySelector: () => (isDelta ? DELTA : CUMULATIVE),
    cardinalitySelector: () => SERIES * 3 + 1,
  })
  const aggregation = { type, options: { maxSize: BUCKETS_MAX, recordMinMax: true } } as const
  const views = [{ instrumentUnit: 's', aggregation }]
  const meter = new MeterProvider({ readers: [reader], views }).getMeter('bench')
  return {
    histograms: MEASURES.map(({ otel }) => meter.createHistogram(otel, { unit: 's' })),
    counters: {
      requests: meter.createCounter('requests'),
      tokens: meter.createCounter('tokens'),
      chunks: meter.createCounter('chunks'),
    },
    async collect() {
      const { resourceMetrics } = await reader.collect()
      ProtobufMetricsSerializer.serializeRequest(resourceMetrics)
      const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)
      return metrics.reduce((sum, { dataPoints }) => sum + dataPoints.length, 0)
    },
  }
}

function record({ histograms, counters }: Sdk, measured: readonly (readonly Measured[])[]): void {
  measured.forEach((own, place) => {
    const series: Attributes = seriesLabels(place)
    for (const { measure, value } of own) histograms[measure.id]!.record(value / 1e6, series)
    for (const status of ['ok', 'error', 'cancelled']) {
      counters.requests.add(status === 'ok' ? REQUESTS : 0, { ...series, status })
    }
    counters.tokens.add(REQUESTS * 900, { ...series, type: 'input' })
    counters.tokens.add(REQUESTS * CHUNKS, { ...series, type: 'output' })
    counters.chunks.add(REQUESTS * CHUNKS, series)
  })
}
