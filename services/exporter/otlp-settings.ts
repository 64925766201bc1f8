import { LensError } from '../core/errors.ts'
import type { Temporality } from './otlp-stream.ts'

/** How to reach an OTLP/HTTP endpoint. */
export interface OtlpSettings {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly isGzip: boolean
  /** For one attempt. */
  readonly timeoutMs: number
  readonly temporality: Temporality
}

type Environment = Readonly<Record<string, string | undefined>>

const TIMEOUT_DEFAULT_MS = 10_000

/**
 * The settings under OpenTelemetry's own names, each with its _METRICS_ form first, or null when
 * no endpoint is set. `endpoint` is the base (OTEL_EXPORTER_OTLP_ENDPOINT, or the flag that beats
 * it). Throws LensError configuration_invalid that lists every fault.
 */
export function readOtlpSettings(endpoint: string, env: Environment): OtlpSettings | null {
  const own = env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT ?? ''
  // The general endpoint is a base to which the signal's path is added, the metrics one is taken
  // as it stands (specification, protocol/exporter).
  const target =
    own !== '' ? own : endpoint === '' ? '' : `${endpoint.replace(/\/+$/, '')}/v1/metrics`
  if (target === '') return null
  const faults: string[] = []
  const pick = (name: string): string => {
    return env[`OTEL_EXPORTER_OTLP_METRICS_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`] || ''
  }
  if (!/^https?:$/.test(URL.parse(target)?.protocol ?? '')) {
    faults.push(`the OTLP endpoint ${JSON.stringify(target)} is not an http:// or https:// URL`)
  }
  const protocol = pick('PROTOCOL')
  if (protocol !== '' && protocol !== 'http/protobuf') {
    faults.push(`OTEL_EXPORTER_OTLP_PROTOCOL is ${protocol}; only http/protobuf is spoken`)
  }
  const compression = pick('COMPRESSION')
  if (!['', 'none', 'gzip'].includes(compression)) {
    faults.push(`OTEL_EXPORTER_OTLP_COMPRESSION is ${compression}; it can be gzip or none`)
  }
  const preference = (
    env.OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE || 'cumulative'
  ).toLowerCase()
  if (preference !== 'cumulative' && preference !== 'delta') {
    const name = 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE'
    faults.push(`${name} is ${preference}; it can be cumulative or delta`)
  }
  const temporality = preference as Temporality
  const timeoutText = pick('TIMEOUT')
  const timeoutMs = timeoutText === '' ? TIMEOUT_DEFAULT_MS : Number(timeoutText)
  if (!Number.isInteger(timeoutMs) || timeoutMs <= 0) {
    faults.push(`OTEL_EXPORTER_OTLP_TIMEOUT is ${timeoutText}; it is milliseconds above 0`)
  }
  const headers = parseHeaders(pick('HEADERS'), faults)
  if (faults.length > 0) throw new LensError('configuration_invalid', faults.join('\n'))
  return { url: target, headers, isGzip: compression === 'gzip', timeoutMs, temporality }
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
