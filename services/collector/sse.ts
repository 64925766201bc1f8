import { createLines } from './lines.ts'

/**
 * Server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html, from bytes
 * in any split. Lines end at CR, LF or CRLF only: U+2028 and its like are legal inside JSON. A line
 * is decoded when it is whole, so that no UTF-8 character is ever cut.
 */
export interface SseParser {
  /** The bytes are not kept. */
  push(bytes: Uint8Array): void
  /**
   * The stream has ended. The standard discards a last event without its blank line; servers that
   * forget the line are common and the event was on the wire, so it is emitted here. True when
   * there was one.
   */
  end(): boolean
  /** Whether what comes next begins an event. */
  isBetween(): boolean
  /** Lines and events that were over the limits and left out. */
  readonly tooLong: () => number
}

export interface SseLimits {
  readonly lineBytesMax: number
  /** Of the data of one event, in UTF-16 units. */
  readonly dataLengthMax: number
}

export const SSE_LIMITS: SseLimits = { lineBytesMax: 4 << 20, dataLengthMax: 4 << 20 }

const SPACE = 32
const COLON = 58

/** Calls `onEvent` with the data and the event name ('' when none was given) of each event. */
export function createSseParser(
  onEvent: (data: string, name: string) => void,
  limits: SseLimits = SSE_LIMITS,
): SseParser {
  const lines = createLines(limits.lineBytesMax, field, () => {
    tooLong += 1
    spoilt = true
  })
  let tooLong = 0
  let data = ''
  let hasData = false
  let name = ''
  /** A part of the event was too long, so that its data would not be what was sent. */
  let spoilt = false

  function field(bytes: Buffer, from: number, to: number): void {
    if (from === to) dispatch()
    else if (isField(bytes, from, to, 'data')) addData(valueAfter(bytes, from + 4, to))
    else if (isField(bytes, from, to, 'event')) name = valueAfter(bytes, from + 5, to)
    // Everything else is a comment (also inside an event), id, retry or not known: ignored.
  }

  function addData(value: string): void {
    if (data.length + value.length > limits.dataLengthMax) {
      if (!spoilt) tooLong += 1
      spoilt = true
      data = ''
      return
    }
    data = hasData ? `${data}\n${value}` : value
    hasData = true
  }

  function dispatch(): void {
    const [text, kind] = [data, name]
    // A comment and a blank line have no data, and that is no event.
    const whole = hasData && !spoilt
    data = ''
    name = ''
    hasData = false
    spoilt = false
    if (whole) onEvent(text, kind)
  }

  function end(): boolean {
    lines.end()
    const isCut = hasData
    dispatch()
    return isCut
  }

  const isBetween = () => lines.isBetween() && !hasData && name === '' && !spoilt
  return { push: lines.push, end, isBetween, tooLong: () => tooLong }
}

/** Whether the line is the field `name`: the name alone, or followed by a colon. */
function isField(bytes: Buffer, from: number, to: number, name: string): boolean {
  const after = from + name.length
  if (after > to || (after < to && bytes[after] !== COLON)) return false
  for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name.charCodeAt(i)) return false
  return true
}

/** The text after the colon at `colon`, without the one space that may follow it. */
function valueAfter(bytes: Buffer, colon: number, to: number): string {
  const start = Math.min(colon + 1, to)
  return bytes.toString('utf8', start < to && bytes[start] === SPACE ? start + 1 : start, to)
}
