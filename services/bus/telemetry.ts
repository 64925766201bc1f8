import { hostname } from 'node:os'
import { DiagConsoleLogger, DiagLogLevel, diag } from '@opentelemetry/api'

/** A started OpenTelemetry SDK; shutdown sends what is left. */
export interface Telemetry {
  shutdown(): Promise<void>
}

const OFF: Telemetry = { shutdown: async () => {} }

/**
 * Reports the process's own health as the standard variables say: over OTLP when one names an
 * endpoint, as a page for Prometheus when OTEL_METRICS_EXPORTER names that. No spans, no logs: a
 * span per record made others slow (research/kafka-clients.md §4).
 */
export async function startTelemetry(service: string): Promise<Telemetry> {
  const { env } = process
  const isAsked =
    env.OTEL_EXPORTER_OTLP_ENDPOINT ||
    env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT ||
    /\bprometheus\b/.test(env.OTEL_METRICS_EXPORTER ?? '')
  if (!isAsked) return OFF
  env.OTEL_METRICS_EXPORTER ??= 'otlp'
  env.OTEL_TRACES_EXPORTER ??= 'none'
  env.OTEL_LOGS_EXPORTER ??= 'none'
  env.OTEL_METRIC_EXPORT_INTERVAL ??= '10000'
  // The host's detector is late with its id, of which each scrape would complain; its name is here.
  env.OTEL_NODE_RESOURCE_DETECTORS ??= 'env,process,os,serviceinstance'
  const host = `host.name=${encodeURIComponent(hostname())}`
  const { OTEL_RESOURCE_ATTRIBUTES: given } = env
  env.OTEL_RESOURCE_ATTRIBUTES = given ? `${host},${given}` : host
  // Loaded only when it is used: it costs a third of a second at the start of every process.
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  // A port that is taken, an endpoint that refuses: nobody else says it.
  diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.ERROR)
  const sdk = new NodeSDK({ serviceName: `lens-${service}`, instrumentations: [] })
  sdk.start()
  return { shutdown: () => sdk.shutdown().catch(() => {}) }
}
