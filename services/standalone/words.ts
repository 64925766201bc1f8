import type { CollectorStats } from '../collector/collector.ts'
import type { Board } from './board.ts'
import type { StandaloneConfig } from './config.ts'
import type { LoadSummary } from './load.ts'
import type { Upstream } from './source.ts'
import { describeEvent } from './table.ts'

/** What runs where, said once at the start. */
export function startupLines(at: {
  readonly config: StandaloneConfig
  readonly upstream: Upstream
  readonly tap: string
  readonly lake: string
  readonly isLoaded: boolean
}): string[] {
  const { config, upstream, tap, lake, isLoaded } = at
  const what = config.upstream ? 'your server' : 'simulated engine'
  return [
    'LLM-Latency-Lens',
    `  upstream   ${upstream.url} (${what})`,
    `  tap        ${tap}/v1/chat/completions: send requests here`,
    `  load       ${isLoaded ? `${config.rate} requests/s` : 'none: the table shows your own requests'}`,
    `  bus        ${config.kafkaBrokers ? `Kafka at ${config.kafkaBrokers}` : 'in this process'}`,
    `  stages     windowing, statistics, triggers, exporter, in this process`,
    `  lake       ${lake}`,
    `  OTLP       ${config.otlpEndpoint || 'off (OTEL_EXPORTER_OTLP_ENDPOINT)'}`,
    `  ends       ${config.duration ? `after ${config.duration / 1000} s` : 'with Ctrl-C'}`,
    '',
  ]
}

/** What the run did, said once at the end. */
export function summaryLines(at: {
  readonly config: StandaloneConfig
  readonly board: Board
  readonly sent: LoadSummary | undefined
  readonly stats: CollectorStats
  readonly lake: string
}): string[] {
  const { config, board, sent, stats, lake } = at
  const lost = Object.values(stats.queue.dropped).reduce((sum, n) => sum + n, 0)
  const lines = ['summary']
  if (sent) {
    const { ok, errors, cancelled, skipped } = sent
    lines.push(
      `  requests   ${sent.sent} sent: ${ok} ok, ${errors} failed, ${cancelled} cancelled, ${skipped} skipped`,
    )
  }
  lines.push(
    `  records    ${stats.queue.sent} published, ${lost} dropped, ${stats.queue.unknown} unknown`,
    `  windows    ${board.finals()} final${board.finals() ? '' : ': one is final some seconds after its minute'}`,
    `  triggers   ${board.events.length}`,
    ...board.events.slice(-5).map((event) => `             ${describeEvent(event)}`),
    `  lake       ${lake}`,
  )
  if (/^[a-z0-9]+:/.test(config.lakeUrl)) return lines
  const files = `'${config.lakeUrl}/requests/**/*.parquet'`
  const query = `SELECT model, count(*), quantile_cont(ttft_us, 0.95) FROM ${files} GROUP BY 1`
  return [...lines, `             duckdb -c "${query}"`]
}
