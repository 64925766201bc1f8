/** npm run test:otelcol: spans over gRPC and mutual TLS, received by an OpenTelemetry collector. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { endChild, lastLines, startChild } from '../../infra/local/child.ts'
import { pickPorts } from '../../infra/local/ports.ts'
import { TOKEN_EVENTS } from '../../schemas/topics.ts'
import { createHealth } from '../../services/bus/health.ts'
import { exporterConfig } from '../../services/exporter/config.ts'
import { spanIdsOf } from '../../services/exporter/span-ids.ts'
import { spanStage } from '../../services/exporter/stage.ts'
import { assignment, ended } from '../services/exporter/lake-log.ts'
import { requestEnd } from '../services/formats/records.ts'
import { forget, goProgram } from './go-program.ts'

const VERSION = '0.162.0'
const CORE = 'go.opentelemetry.io/collector'
const CERTIFICATES = new URL('../services/exporter/certificates/', import.meta.url).pathname
const START_MS_MAX = 60_000

const MANIFEST = `
dist: { name: otelcol, output_path: ./out }
receivers: [{ gomod: ${CORE}/receiver/otlpreceiver v${VERSION} }]
exporters: [{ gomod: ${CORE}/exporter/debugexporter v${VERSION} }]
providers:
  - { gomod: ${CORE}/confmap/provider/fileprovider v1.68.0 }
  - { gomod: ${CORE}/confmap/provider/envprovider v1.68.0 }
`

function collector(): string {
  return goProgram(`otelcol-${VERSION}`, 'otelcol', (home, go) => {
    go(['go', 'install', `${CORE}/cmd/builder@v${VERSION}`], home)
    writeFileSync(join(home, 'manifest.yaml'), MANIFEST)
    go([join(home, 'builder'), '--config', 'manifest.yaml', '--skip-strict-versioning'], home)
    go(['mv', 'out/otelcol', 'otelcol'], home)
    forget(join(home, 'out'), join(home, 'builder'))
  })
}

describe('an OpenTelemetry collector', function () {
  this.timeout(1_800_000)
  let folder: string
  let port: number
  let stop: () => Promise<void>
  const logFile = () => join(folder, 'otelcol.log')

  before(async () => {
    const file = collector()
    folder = mkdtempSync(join(tmpdir(), 'lens-otelcol-'))
    ;[port] = (await pickPorts(1)) as [number]
    const tls = {
      cert_file: `${CERTIFICATES}server.pem`,
      key_file: `${CERTIFICATES}server.key`,
      client_ca_file: `${CERTIFICATES}ca.pem`,
    }
    const config = {
      receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${port}`, tls } } } },
      exporters: { debug: { verbosity: 'detailed' } },
      service: {
        telemetry: { metrics: { level: 'none' } },
        pipelines: { traces: { receivers: ['otlp'], exporters: ['debug'] } },
      },
    }
    writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config))
    const child = startChild({ file, args: [`--config=${join(folder, 'config.yaml')}`] }, logFile())
    stop = () => endChild(child)
    const lastMs = Date.now() + START_MS_MAX
    while (!(await answers(port))) {
      if (Date.now() > lastMs) throw new Error(`it does not start:\n${lastLines(logFile())}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })
  after(async () => {
    await stop?.()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Sends the spans of ten requests, of which every third has failed, as the exporter does. */
  async function send(more: Record<string, string>): Promise<void> {
    const env = {
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
      ...more,
    }
    const otlpEndpoint = `https://127.0.0.1:${port}`
    const config = exporterConfig.parse({ otlpEndpoint, spanShare: '1' })
    const spec = spanStage(config, createHealth('exporter'), env, console.log)!
    const records = Array.from({ length: 10 }, (_, i) => {
      const status = i % 3 === 0 ? ('error' as const) : ('ok' as const)
      return ended(i, 0, { end: requestEnd({ status }) })
    })
    const batch = { topic: TOKEN_EVENTS, partition: 0, records }
    for (const effect of spec.create(assignment()).onBatch(batch).effects) {
      await spec.carryOut!(effect)
    }
  }

  it('receives a span of each request, with its first chunk', async () => {
    await send({
      OTEL_EXPORTER_OTLP_CERTIFICATE: `${CERTIFICATES}ca.pem`,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: `${CERTIFICATES}client.pem`,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: `${CERTIFICATES}client.key`,
    })
    const said = readFileSync(logFile(), 'utf8')
    const traces = [...said.matchAll(/Trace ID\s*: ([0-9a-f]{32})/g)].map(([, id]) => id)
    const own = Array.from({ length: 10 }, (_, i) =>
      Buffer.from(spanIdsOf(`r-${i}`).traceId).toString('hex'),
    )
    expect(traces).deep.equal(own)
    expect(said.match(/Kind\s*: Client/g)).length(10)
    expect(said.match(/-> Name: first_chunk/g)).length(10)
    expect(said.match(/Status code\s*: Error/g)).length(4)
    expect(said).contain('gen_ai.response.time_to_first_chunk: Double(0.1)')
  })

  it('takes nothing of whoever has no certificate', async () => {
    const ca = { OTEL_EXPORTER_OTLP_CERTIFICATE: `${CERTIFICATES}ca.pem` }
    const error = await send(ca).catch((fault: unknown) => fault)
    expect(error).include({ code: 'otlp_unavailable', retryable: true })
  })
})

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}
