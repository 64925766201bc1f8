/** What has been told to the OpenTelemetry SDK. */
import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  type DataPoint,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'

/** Runs `work` with an SDK of its own; resolves to what caches let go of, by cache. */
export function forgottenBy(work: () => void | Promise<void>) {
  return countedBy('latency_lens.cache.forgotten', 'cache', work)
}

/** The counts of a counter by one of its attributes. */
export async function countedBy(
  name: string,
  attribute: string,
  work: () => void | Promise<void>,
): Promise<Readonly<Record<string, number>>> {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  metrics.setGlobalMeterProvider(provider)
  try {
    await work()
    await provider.forceFlush()
  } finally {
    metrics.disable()
  }
  const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
  const named = all.flatMap((scope) => scope.metrics)
  const points = named
    .filter(({ descriptor }) => descriptor.name === name)
    .flatMap(({ dataPoints }) => dataPoints as DataPoint<number>[])
  await provider.shutdown()
  return Object.fromEntries(points.map(({ attributes, value }) => [attributes[attribute], value]))
}
