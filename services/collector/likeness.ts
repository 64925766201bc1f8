import type { Dialect } from './dialect/dialect.ts'
import { parseFields } from './dialect/fields.ts'
import type { ChunkShape } from './dialect/usage.ts'

/**
 * The events of a stream mostly differ in one string, the text of the token. What is like the last
 * one but for that is told by its bytes: no string and no object is made of it.
 */
export interface Likeness {
  /** Takes the data of an event that was one chunk of output. */
  learn(data: string): void
  /** Where the event that begins at `from` ends, when it is like the one that was learnt; else -1. */
  match(bytes: Buffer, from: number): number
  /** What is in each of those that match. */
  readonly shape: () => ChunkShape
}

/** A server whose events differ in more is not asked about each of them. */
const LEARNT_MAX = 8

const QUOTE = 34
const BACKSLASH = 92
const SPACE = 32
/** Behind a backslash, without more to it. */
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'))
/** Where the text begins that differs. */
const TEXT = /"(?:content|reasoning_content|reasoning|text)": ?"(?!")/

/** Nothing learnt yet. `shapeOf` is the dialect's. */
export function createLikeness(shapeOf: NonNullable<Dialect['shapeOf']>): Likeness {
  let prefix = Buffer.alloc(0)
  let suffix = Buffer.alloc(0)
  let shape: ChunkShape | null = null
  let learnt = 0
  let matched = 0
  return {
    learn(data) {
      if (learnt >= LEARNT_MAX && matched < learnt) return
      learnt++
      const from = TEXT.exec(data)
      if (!from) return
      const start = from.index + from[0].length
      const bytes = Buffer.from(data.slice(start))
      const rest = bytes.subarray(endOfString(bytes, 0)).toString()
      // With another text in it.
      const value = parseFields(`${data.slice(0, start)}x${rest}`)
      shape = value && shapeOf(value)
      prefix = Buffer.from(`data: ${data.slice(0, start)}`)
      suffix = Buffer.from(`${rest}\n\n`)
    },
    match(bytes, from) {
      const start = from + prefix.length
      if (shape === null || start + suffix.length >= bytes.length) return -1
      if (bytes.compare(prefix, 0, prefix.length, from, start) !== 0) return -1
      const at = endOfString(bytes, start)
      const end = at + suffix.length
      // An empty text is no output.
      if (at === start || end > bytes.length) return -1
      if (bytes.compare(suffix, 0, suffix.length, at, end) !== 0) return -1
      matched++
      return end
    },
    shape: () => shape!,
  }
}

/** Where the quote is that ends a string; the end of the bytes when that is not plain to see. */
function endOfString(bytes: Buffer, from: number): number {
  let at = from
  while (at < bytes.length) {
    const byte = bytes[at]!
    if (byte === QUOTE) return at
    if (byte < SPACE || (byte === BACKSLASH && !ESCAPES.has(bytes[at + 1]!))) break
    at += byte === BACKSLASH ? 2 : 1
  }
  return bytes.length
}
