/** HTTP/1.1 as its grammar has it (RFC 9110, 9112): nothing is forgiven, all has one meaning. */

export interface Message {
  readonly start: string
  /** By name in lower case; a repeated one is an error where it frames. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: string
}

export interface Reading {
  readonly messages: readonly Message[]
  /** What is not as the grammar has it; null when all is. */
  readonly fault: string | null
  /** Bytes of a message that is not whole yet. */
  readonly rest: string
}

const HEADER = /^([!#$%&'*+\-.^_`|~\w]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/
const REQUEST = /^[A-Z]+ \/[\x21-\x7e]* HTTP\/1\.1$/
/** Answers without a body, whatever their headers say. */
const BODILESS = /^HTTP\/1\.1 (1\d\d|204|304) /
const STATUS = /^HTTP\/1\.1 [1-5]\d\d [\t\x20-\x7e\x80-\xff]*$/

/** Reads requests or answers, one character a byte. Answers without framing end with the bytes. */
export function readStrictly(bytes: string, kind: 'request' | 'answer'): Reading {
  const messages: Message[] = []
  let rest = bytes
  try {
    for (;;) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) {
        if (hasStrayBreak(rest.replace(/\r$/, ''))) throw new Error('a stray line break')
        return { messages, fault: null, rest }
      }
      const [start, ...lines] = rest.slice(0, end).split('\r\n') as [string, ...string[]]
      if (!(kind === 'request' ? REQUEST : STATUS).test(start)) throw new Error(`start: ${start}`)
      const headers = headersOf(lines)
      const after = rest.slice(end + 4)
      const isBare = kind === 'answer' && BODILESS.test(start)
      const body = isBare ? { text: '', rest: after } : bodyOf(after, headers, kind)
      if (body === null) return { messages, fault: null, rest }
      messages.push({ start, headers, body: body.text })
      rest = body.rest
    }
  } catch (error) {
    return { messages, fault: (error as Error).message, rest }
  }
}

function headersOf(lines: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>()
  for (const line of lines) {
    const [, name, value] = HEADER.exec(line) ?? []
    if (name === undefined) throw new Error(`header: ${JSON.stringify(line)}`)
    const key = name.toLowerCase()
    headers.set(key, [...(headers.get(key) ?? []), value!])
  }
  return headers
}

interface Body {
  readonly text: string
  readonly rest: string
}

/** Null when it is not whole yet. */
function bodyOf(
  text: string,
  headers: ReadonlyMap<string, readonly string[]>,
  kind: 'request' | 'answer',
): Body | null {
  const lengths = headers.get('content-length') ?? []
  const codings = headers.get('transfer-encoding') ?? []
  if (lengths.length + codings.length > 1) throw new Error('framed more than once')
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') throw new Error(`coding: ${codings[0]}`)
    return chunkedBody(text)
  }
  if (lengths.length === 0) {
    return kind === 'request' ? { text: '', rest: text } : { text, rest: '' }
  }
  if (!/^\d{1,19}$/.test(lengths[0]!)) throw new Error(`length: ${lengths[0]}`)
  const length = Number(lengths[0])
  if (text.length < length) return null
  return { text: text.slice(0, length), rest: text.slice(length) }
}

function chunkedBody(text: string): Body | null {
  let body = ''
  let at = 0
  for (;;) {
    const end = text.indexOf('\r\n', at)
    if (end < 0) return null
    const size = text.slice(at, end)
    if (!/^[\da-f]{1,12}$/i.test(size)) throw new Error(`chunk size: ${JSON.stringify(size)}`)
    const length = Number.parseInt(size, 16)
    const next = end + 2 + length
    if (length === 0) return trailers(body, text, end + 2)
    if (text.length < next + 2) return null
    if (text.slice(next, next + 2) !== '\r\n') throw new Error('a chunk does not end in CRLF')
    body += text.slice(end + 2, next)
    at = next + 2
  }
}

function trailers(body: string, text: string, from: number): Body | null {
  if (text.startsWith('\r\n', from)) return { text: body, rest: text.slice(from + 2) }
  const end = text.indexOf('\r\n\r\n', from)
  if (end < 0) return null
  const names = [...headersOf(text.slice(from, end).split('\r\n')).keys()]
  const framing = names.find((name) => ['content-length', 'transfer-encoding'].includes(name))
  if (framing) throw new Error(`trailer: ${framing}`)
  return { text: body, rest: text.slice(end + 4) }
}

function hasStrayBreak(text: string): boolean {
  return /\r(?!\n)|(?<!\r)\n|\0/.test(text)
}
