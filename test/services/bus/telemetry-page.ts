/** A process that reports its own health as a page for Prometheus, and prints the page. */
import { pickPorts } from '../../../infra/local/ports.ts'
import { createHealth } from '../../../services/bus/health.ts'
import { startTelemetry } from '../../../services/bus/telemetry.ts'

const [port] = await pickPorts(1)
Object.assign(process.env, {
  OTEL_METRICS_EXPORTER: 'prometheus',
  OTEL_EXPORTER_PROMETHEUS_HOST: '127.0.0.1',
  OTEL_EXPORTER_PROMETHEUS_PORT: String(port),
})
const telemetry = await startTelemetry('windowing')
createHealth('windowing').count('late', 3)
const page = await fetch(`http://127.0.0.1:${port}/metrics`)
process.stdout.write(await page.text())
await telemetry.shutdown()
