import { createBoundedBytes } from './bounded-bytes.ts'
import type { Dialect } from './dialect/dialect.ts'
import {
  createReader,
  type Facts,
  type Output,
  type Reader,
  type Reading,
} from './dialect/reader.ts'
import type { ChunkShape } from './dialect/usage.ts'
import { createLikeness, type Likeness } from './likeness.ts'
import { createLines } from './lines.ts'
import { createSseParser } from './sse.ts'

/** The head of a response, as far as it says how to read the body. */
export interface AnswerHead {
  readonly status: number
  readonly contentType: string
  readonly contentEncoding: string
}

/** How a body is read: as events, line by line, whole at its end, or not at all. */
export type AnswerForm = 'events' | 'lines' | 'body' | 'opaque'

/** Reads the body of one response. */
export interface Answer {
  push(bytes: Uint8Array): void
  /** Reads what was left for the end. */
  end(): void
  facts(): Facts
}

/** Called for an event with output. */
export type OnOutput = (output: Output, facts: () => Facts) => void

/** A longer answer that is not streamed stays without usage. */
const BODY_BYTES_MAX = 4 << 20
/** A longer line of a stream of JSON objects is left out. */
const LINE_BYTES_MAX = 4 << 20

/**
 * The type decides, not the request: proxies answer a request for a stream with a page of JSON. A
 * failed request's body is not read, and one that is compressed in spite of our asking cannot be.
 */
export function formOf({ status, contentType, contentEncoding }: AnswerHead): AnswerForm {
  if (status < 200 || status > 299 || isCompressed(contentEncoding)) return 'opaque'
  if (/^\s*text\/event-stream\b/i.test(contentType)) return 'events'
  if (/\b(x-)?(ndjson|jsonl|jsonlines)\b/i.test(contentType)) return 'lines'
  return /\bjson\b/i.test(contentType) ? 'body' : 'opaque'
}

/** Whether the body is in another form than the one asked for. */
export function isCompressed(contentEncoding: string): boolean {
  return contentEncoding !== '' && contentEncoding.toLowerCase() !== 'identity'
}

/** What a reader of bytes does with an event; its data is kept by nobody. */
type OnEvent = (data: string, name: string) => Reading

export interface AnswerParts {
  readonly dialect: Dialect
  readonly onOutput: OnOutput
  /** Gets what could not be read, by reason. */
  readonly count: (reason: string) => void
  /** Whether texts are asked for, so that every event must be parsed. */
  readonly wantsTexts: boolean
}

/** Reads an answer in one dialect. */
export function createAnswer(form: AnswerForm, parts: AnswerParts): Answer {
  const { dialect, onOutput, count, wantsTexts } = parts
  const reader = createReader(dialect, wantsTexts)
  const { facts } = reader
  const onEvent: OnEvent = (data, name) => {
    const reading = reader.event(data, name)
    if (reading.kind === 'output') onOutput(reading, facts)
    return reading
  }
  function end(tooLong: number): void {
    for (let i = facts().strange; i > 0; i--) count('event_not_json')
    for (let i = facts().beyond; i > 0; i--) count('choice_not_counted')
    for (let i = tooLong; i > 0; i--) count('event_too_long')
  }
  if (form === 'opaque') return { push: () => {}, end: () => {}, facts }
  if (form === 'body') return { ...readBody(reader, count), facts }
  if (form === 'lines') return { ...readLines(onEvent, end), facts }
  const again = (shape: ChunkShape) => onOutput(reader.again(shape), facts)
  const likeness = dialect.shapeOf && !wantsTexts ? createLikeness(dialect.shapeOf) : null
  return { ...readEvents(likeness, onEvent, again, end, count), facts }
}

type Bytes = Pick<Answer, 'push' | 'end'>

function readBody({ body, facts }: Reader, count: (reason: string) => void): Bytes {
  const bytes = createBoundedBytes(BODY_BYTES_MAX)
  function end(): void {
    const text = bytes.text()
    if (text === null) count('answer_too_long')
    else body(text)
    if (facts().strange > 0) count('answer_not_json')
  }
  return { push: bytes.push, end }
}

function readLines(onEvent: OnEvent, onEnd: (tooLong: number) => void): Bytes {
  let tooLong = 0
  function onLine(bytes: Buffer, from: number, to: number): void {
    if (to > from) onEvent(bytes.toString('utf8', from, to), '')
  }
  const lines = createLines(LINE_BYTES_MAX, onLine, () => void tooLong++)
  function end(): void {
    lines.end()
    onEnd(tooLong)
  }
  return { push: lines.push, end }
}

function readEvents(
  likeness: Likeness | null,
  onEvent: OnEvent,
  again: (shape: ChunkShape) => void,
  onEnd: (tooLong: number) => void,
  count: (reason: string) => void,
): Bytes {
  const sse = createSseParser((data, name) => {
    const reading = onEvent(data, name)
    const isPlain = reading.kind === 'output' && reading.tokens === null && name === ''
    if (isPlain) likeness?.learn(data)
  })
  function push(view: Uint8Array): void {
    const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength)
    let from = 0
    while (likeness !== null && sse.isBetween()) {
      const end = likeness.match(bytes, from)
      if (end < 0) break
      again(likeness.shape())
      from = end
    }
    if (from < bytes.length) sse.push(bytes.subarray(from))
  }
  function end(): void {
    if (sse.end()) count('event_not_ended')
    onEnd(sse.tooLong())
  }
  return { push, end }
}
