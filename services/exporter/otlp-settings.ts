import { readFileSync } from 'node:fs'
import { LensError } from '../core/errors.ts'
import type { Temporality } from './otlp-stream.ts'

/** How to reach an OTLP endpoint. */
export interface OtlpSettings {
  readonly signal: Signal
  readonly url: string
  readonly protocol: Protocol
  readonly headers: Readonly<Record<string, string>>
  readonly isGzip: boolean
  /** For one attempt. */
  readonly timeoutMs: number
  /** PEM; what is missing is the system's, or none. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly temporality: Temporality
}

/** As it stands in the names of services. */
export type Signal = 'metrics' | 'trace'

type Protocol = 'grpc' | 'http/protobuf'
type Environment = Readonly<Record<string, string | undefined>>

const TIMEOUT_DEFAULT_MS = 10_000

/** What the standard calls a signal in its variables, and in its paths. */
const NAMES: Readonly<Record<Signal, string>> = { metrics: 'metrics', trace: 'traces' }

const TLS_FILES = { ca: 'CERTIFICATE', cert: 'CLIENT_CERTIFICATE', key: 'CLIENT_KEY' } as const

/**
 * The settings under OpenTelemetry's own names, each with its form for the signal first, or null
 * when no endpoint is set. `endpoint` is the base (OTEL_EXPORTER_OTLP_ENDPOINT, or the flag that
 * beats it). Throws LensError configuration_invalid that lists every fault.
 */
export function readOtlpSettings(
  signal: Signal,
  endpoint: string,
  env: Environment,
): OtlpSettings | null {
  const name = NAMES[signal]
  const faults: string[] = []
  const pick = (what: string): string => {
    const own = env[`OTEL_EXPORTER_OTLP_${name.toUpperCase()}_${what}`]
    return own || env[`OTEL_EXPORTER_OTLP_${what}`] || ''
  }
  const protocol = (pick('PROTOCOL') || 'http/protobuf') as Protocol
  const own = env[`OTEL_EXPORTER_OTLP_${name.toUpperCase()}_ENDPOINT`] ?? ''
  // Over HTTP the general endpoint is a base to which the signal's path is added, the signal's own
  // is taken as it stands (specification, protocol/exporter). gRPC has no paths.
  const base = endpoint.replace(/\/+$/, '')
  const general = base === '' || protocol === 'grpc' ? base : `${base}/v1/${name}`
  const url = own === '' ? general : own
  if (url === '') return null
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
    faults.push(`the OTLP endpoint ${JSON.stringify(url)} is not an http:// or https:// URL`)
  }
  if (protocol !== 'grpc' && protocol !== 'http/protobuf') {
    faults.push(`OTEL_EXPORTER_OTLP_PROTOCOL is ${protocol}; it can be grpc or http/protobuf`)
  }
  const compression = pick('COMPRESSION')
  if (!['', 'none', 'gzip'].includes(compression)) {
    faults.push(`OTEL_EXPORTER_OTLP_COMPRESSION is ${compression}; it can be gzip or none`)
  }
  const timeoutText = pick('TIMEOUT')
  const timeoutMs = timeoutText === '' ? TIMEOUT_DEFAULT_MS : Number(timeoutText)
  if (!Number.isInteger(timeoutMs) || timeoutMs <= 0) {
    faults.push(`OTEL_EXPORTER_OTLP_TIMEOUT is ${timeoutText}; it is milliseconds above 0`)
  }
  const temporality = temporalityOf(env, faults)
  const tls: OtlpSettings['tls'] = Object.fromEntries(
    Object.entries(TLS_FILES).flatMap(([key, what]) => {
      const text = fileOf(`OTEL_EXPORTER_OTLP_${what}`, pick(what), faults)
      return text === null ? [] : [[key, text]]
    }),
  )
  const file = fileOf('OTEL_EXPORTER_OTLP_HEADERS_FILE', pick('HEADERS_FILE'), faults)
  const written = [pick('HEADERS'), file ?? ''].join(',').replaceAll(/\r?\n/g, ',')
  const headers = parseHeaders(written, faults)
  faults.push(...tlsFaults(tls), ...(protocol === 'grpc' ? metadataFaults(headers) : []))
  if (faults.length > 0) throw new LensError('configuration_invalid', faults.join('\n'))
  const isGzip = compression === 'gzip'
  return { signal, url, protocol, headers, isGzip, timeoutMs, tls, temporality }
}

function temporalityOf(env: Environment, faults: string[]): Temporality {
  const name = 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE'
  const preference = (env[name] || 'cumulative').toLowerCase()
  if (preference !== 'cumulative' && preference !== 'delta') {
    faults.push(`${name} is ${preference}; it can be cumulative or delta`)
  }
  return preference as Temporality
}

function tlsFaults({ ca, cert, key }: OtlpSettings['tls']): string[] {
  const faults: string[] = []
  if ((cert === undefined) !== (key === undefined)) {
    faults.push('OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY: one needs the other')
  }
  for (const [what, text] of Object.entries({ CERTIFICATE: ca, CLIENT_CERTIFICATE: cert })) {
    if (text === undefined || text.includes('-----BEGIN CERTIFICATE-----')) continue
    faults.push(`OTEL_EXPORTER_OTLP_${what} is no file of certificates in PEM`)
  }
  if (key !== undefined && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) {
    faults.push('OTEL_EXPORTER_OTLP_CLIENT_KEY is no file of a key in PEM')
  }
  return faults
}

/** gRPC takes fewer characters than HTTP. The values are never repeated. */
function metadataFaults(headers: Readonly<Record<string, string>>): string[] {
  const wrong = Object.entries(headers).filter(([, value]) => !/^[ -~]*$/.test(value))
  return wrong.map(([name]) => `OTEL_EXPORTER_OTLP_HEADERS: ${JSON.stringify(name)} is not ASCII`)
}

/** What a file says that a variable names; null when it names none. */
function fileOf(name: string, path: string, faults: string[]): string | null {
  if (path === '') return null
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    faults.push(`${name} cannot be read: ${(error as Error).message}`)
    return null
  }
}

/** name=value,name=value with percent escapes in the values; the values are never repeated. */
function parseHeaders(text: string, faults: string[]): Record<string, string> {
  const headers = new Headers()
  for (const pair of text.split(',')) {
    if (pair.trim() === '') continue
    const at = pair.indexOf('=')
    const name = pair.slice(0, at).trim()
    try {
      if (at < 1) throw new TypeError('no name')
      headers.set(name, decodeURIComponent(pair.slice(at + 1).trim()))
    } catch {
      const which = at < 1 ? 'a part without name=' : JSON.stringify(name)
      faults.push(`OTEL_EXPORTER_OTLP_HEADERS: ${which} is not a header; write name=value,…`)
    }
  }
  return Object.fromEntries(headers)
}
