import { createBoundedBytes } from './bounded-bytes.ts'
import { createLikeness } from './likeness.ts'
import { createOpenAiReader, type Facts } from './openai.ts'
import { createSseParser } from './sse.ts'

/** The head of a response, as far as it says how to read the body. */
export interface AnswerHead {
  readonly status: number
  readonly contentType: string
  readonly contentEncoding: string
}

/** How a body is read: as events, whole at its end, or not at all. */
export type AnswerForm = 'stream' | 'body' | 'opaque'

/** Reads the body of one response. Another dialect is another function that returns this. */
export interface Answer {
  push(bytes: Uint8Array): void
  /** Reads what was left for the end. */
  end(): void
  facts(): Facts
}

/** Called for an event with output, with its number of chunks and their tokens if known. */
export type OnOutput = (chunks: number, tokens: number | null, facts: () => Facts) => void

/** A longer answer that is not streamed stays without usage. */
const BODY_BYTES_MAX = 4 << 20

/**
 * The type decides, not the request: proxies answer a request for a stream with a page of JSON. A
 * failed request's body is not read, and one that is compressed in spite of our asking cannot be.
 */
export function formOf({ status, contentType, contentEncoding }: AnswerHead): AnswerForm {
  if (status < 200 || status > 299 || isCompressed(contentEncoding)) return 'opaque'
  if (/^\s*text\/event-stream\b/i.test(contentType)) return 'stream'
  return /\bjson\b/i.test(contentType) ? 'body' : 'opaque'
}

/** Whether the body is in another form than the one asked for. */
export function isCompressed(contentEncoding: string): boolean {
  return contentEncoding !== '' && contentEncoding.toLowerCase() !== 'identity'
}

/** Reads an answer in OpenAI's form. `count` gets what could not be read, by reason. */
export function createAnswer(
  form: AnswerForm,
  onOutput: OnOutput,
  count: (reason: string) => void,
): Answer {
  const reader = createOpenAiReader()
  const { facts } = reader
  if (form === 'opaque') return { push: () => {}, end: () => {}, facts }
  if (form === 'body') {
    const body = createBoundedBytes(BODY_BYTES_MAX)
    const end = () => {
      const text = body.text()
      if (text === null) return count('answer_too_long')
      reader.body(text)
      if (facts().strange > 0) count('answer_not_json')
    }
    return { push: body.push, end, facts }
  }
  const likeness = createLikeness()
  const sse = createSseParser((data, name) => {
    const reading = reader.event(data, name)
    if (reading.kind !== 'output') return
    onOutput(reading.chunks, reading.tokens, facts)
    if (reading.tokens === null && name === '') likeness.learn(data)
  })
  function push(view: Uint8Array): void {
    const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength)
    let from = 0
    while (sse.isBetween()) {
      const end = likeness.match(bytes, from)
      if (end < 0) break
      reader.again(likeness.shape())
      onOutput(1, null, facts)
      from = end
    }
    if (from < bytes.length) sse.push(bytes.subarray(from))
  }
  const end = () => {
    sse.end()
    for (let i = facts().strange; i > 0; i--) count('event_not_json')
    for (let i = facts().beyond; i > 0; i--) count('choice_not_counted')
    for (let i = sse.tooLong(); i > 0; i--) count('event_too_long')
  }
  return { push, end, facts }
}
