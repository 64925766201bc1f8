import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { partialSuccess, retryDelayMs } from '../formats/protobuf-otlp.ts'
import type { OtlpSettings } from './otlp-settings.ts'
import type { OtlpAnswer, OtlpTransport } from './otlp-transport.ts'

/** The specification of OTLP names these; RESOURCE_EXHAUSTED only when a time to wait is given. */
const RETRYABLE: ReadonlySet<number> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
])
const REFUSED: ReadonlySet<number> = new Set([
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.UNIMPLEMENTED,
])

const GZIP = 2
const DETAILS = 'grpc-status-details-bin'

/** OTLP over gRPC; https:// is TLS, with a client's certificate when there is one. */
export function createGrpcTransport(settings: OtlpSettings): OtlpTransport {
  const { url, tls, headers, isGzip, signal } = settings
  const { protocol, hostname, port } = new URL(url)
  // A URL has no default port, and the library's own is that of TLS.
  const host = `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
  const buffer = (text: string | undefined) => (text === undefined ? null : Buffer.from(text))
  const own =
    protocol === 'https:'
      ? credentials.createSsl(buffer(tls.ca), buffer(tls.key), buffer(tls.cert))
      : credentials.createInsecure()
  const client = new Client(host, own, {
    ...(isGzip && { 'grpc.default_compression_algorithm': GZIP }),
    // We decide when to send again.
    'grpc.enable_retries': 0,
  })
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  const path = `/opentelemetry.proto.collector.${signal}.v1.${SERVICES[signal]}/Export`
  const asIs = (bytes: Buffer) => bytes
  return {
    url,
    post(body) {
      const deadline = Date.now() + settings.timeoutMs
      return new Promise((resolve) => {
        client.makeUnaryRequest(
          path,
          asIs,
          asIs,
          Buffer.from(body),
          metadata,
          { deadline },
          (error, answer) => {
            resolve(error ? meaningOf(error) : { is: 'taken', ...partialSuccess(answer!) })
          },
        )
      })
    },
    close: () => client.close(),
  }
}

const SERVICES = { metrics: 'MetricsService', trace: 'TraceService' } as const

function meaningOf({ code, details, metadata }: ServiceError): OtlpAnswer {
  const message = `${status[code]} ${JSON.stringify(details)}`
  const [said] = metadata?.get(DETAILS) ?? []
  const waitMs = said instanceof Buffer ? retryDelayMs(said) : null
  const isBusy = RETRYABLE.has(code) || (code === status.RESOURCE_EXHAUSTED && waitMs !== null)
  if (isBusy) return { is: 'busy', message, waitMs }
  return { is: REFUSED.has(code) ? 'refused' : 'wrong', message }
}
