import type { IncomingHttpHeaders } from 'node:http'

const TRANSFER_CODING = 'transfer-encoding'

/** Fields that concern one connection only (RFC 9110 §7.6.1), and the framing, which Node makes. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  TRANSFER_CODING,
  'upgrade',
])

/** What Connection may not take away: without them the message would be another one. */
const NEVER_NAMED = new Set(['content-length', 'content-type', 'content-encoding', 'host'])

/** Tells the upstream under which id the request is measured. */
const REQUEST_ID_HEADER = 'x-lens-request-id'

export interface RequestRewrite {
  readonly host: string
  readonly requestId: string
  /** Lower case; the tenant is ours to know, not the upstream's. */
  readonly tenantHeader: string
  readonly measured: boolean
  /** Headers for us alone, by their names in lower case. */
  readonly isOurs: (name: string) => boolean
}

/**
 * The headers to send upstream, as name, value, name, value: order, case and repeats are kept.
 * `raw` is Node's rawHeaders.
 */
export function requestHeaders(
  raw: readonly string[],
  method: string,
  { host, requestId, tenantHeader, measured, isOurs }: RequestRewrite,
): string[] {
  // `Expect: 100-continue` has been answered by our own server.
  const dropped = new Set(['host', 'expect', tenantHeader])
  // A compressed stream could not be read as it passes; nothing but size is lost without.
  if (measured) dropped.add('accept-encoding').add(REQUEST_ID_HEADER)
  const kept = endToEnd(raw, (name) => dropped.has(name) || isOurs(name))
  const headers = ['Host', host, ...kept]
  if (measured) headers.push('Accept-Encoding', 'identity', REQUEST_ID_HEADER, requestId)
  if (hasName(raw, TRANSFER_CODING)) headers.push('Transfer-Encoding', 'chunked')
  else if (!hasName(raw, 'content-length') && !BODILESS.has(method)) {
    // Neither header means no body (RFC 9112 §6.3), but Node would make it a chunked one.
    headers.push('Content-Length', '0')
  }
  return headers
}

const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/** What clients and gateways say of earlier sends of a request; the first send has this number. */
const ATTEMPTS: Readonly<Record<string, number>> = {
  // The official clients of OpenAI and Anthropic.
  'x-stainless-retry-count': 0,
  'x-envoy-attempt-count': 1,
}

/** A larger number is none. */
const ATTEMPTS_MAX = 1000

/** Which send of the request this is; 1 when nobody says otherwise. */
export function attemptOf(headers: IncomingHttpHeaders): number {
  const said = Object.entries(ATTEMPTS).map(([name, first]) => Number(headers[name]) - first + 1)
  return Math.max(1, ...said.filter((n) => Number.isInteger(n) && n <= ATTEMPTS_MAX))
}

/** The headers to hand back to the client, as name, value, name, value. */
export function responseHeaders(
  raw: readonly string[],
  isOurs: RequestRewrite['isOurs'],
): string[] {
  return endToEnd(raw, isOurs)
}

function endToEnd(raw: readonly string[], isDropped: (name: string) => boolean): string[] {
  const named = namedByConnection(raw)
  const kept: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (HOP_BY_HOP.has(name) || named.has(name) || isDropped(name)) continue
    kept.push(raw[i]!, raw[i + 1]!)
  }
  return kept
}

function namedByConnection(raw: readonly string[]): ReadonlySet<string> {
  const named = new Set<string>()
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]!.toLowerCase() !== 'connection') continue
    for (const part of raw[i + 1]!.split(',')) {
      const name = part.trim().toLowerCase()
      if (!NEVER_NAMED.has(name)) named.add(name)
    }
  }
  return named
}

/**
 * Whether a body is as long as its headers say in one way only. Node refuses what contradicts
 * itself; a coding besides chunked it lets pass, and the upstream would not hear of it.
 */
export function isPlainlyFramed(raw: readonly string[]): boolean {
  const codings = raw.filter((_, i) => i % 2 === 1 && raw[i - 1]!.toLowerCase() === TRANSFER_CODING)
  return codings.every((coding) => coding.toLowerCase() === 'chunked') && codings.length <= 1
}

function hasName(raw: readonly string[], name: string): boolean {
  return raw.some((text, i) => i % 2 === 0 && text.toLowerCase() === name)
}
