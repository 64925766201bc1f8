/** Error class of a stream that broke without saying how. */
const STREAM_ERROR = 'stream_error'

const LENGTH_MAX = 48

/**
 * A label of a-z, 0-9 and _, at most 48 long; null for anything that is no plain word. A sentence
 * is refused, not shortened: it may quote the prompt, and each one would be a series of its own.
 */
export function wordOf(value: unknown): string | null {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(value)) return null
  return value
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, LENGTH_MAX)
}

/** The class of an HTTP status: http_429. */
export function httpErrorType(status: number): string {
  return `http_${status}`
}

/** The class of an error that a server wrote into its answer: a string or an object. */
export function errorTypeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return wordOf(error) ?? STREAM_ERROR
  const { type, code } = error as { type?: unknown; code?: unknown }
  return wordOf(type) ?? wordOf(code) ?? statusOf(code) ?? STREAM_ERROR
}

/** The class of a failed connection, from Node's error codes. */
export function connectionErrorType(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'string') return 'connection_failed'
  if (/CERT|TLS|SSL/.test(code)) return 'tls_failed'
  return CONNECTION_ERRORS[code] ?? 'connection_failed'
}

function statusOf(code: unknown): string | null {
  const isStatus = typeof code === 'number' && Number.isInteger(code) && code >= 400 && code < 600
  return isStatus ? httpErrorType(code) : null
}

const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_reset',
  EPIPE: 'connection_reset',
  ENOTFOUND: 'name_not_found',
  EAI_AGAIN: 'name_not_found',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'timeout',
}
