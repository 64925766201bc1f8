import { errorTypeOf, wordOf } from '../error-type.ts'
import type { Dialect, Said } from './dialect.ts'
import { isFields, parseFields } from './fields.ts'
import { type ChunkShape, createUsageCounter, type Usage } from './usage.ts'

/** An event with output. */
export interface Output {
  readonly kind: 'output'
  /** Choices with output: each one's delta is a chunk of the request. */
  readonly chunks: number
  /** Output tokens of the chunk; null when the server does not count as it goes. */
  readonly tokens: number | null
  /** What each chunk says, where that is asked for and nobody has counted it. */
  readonly texts?: readonly string[]
}

/**
 * What one event of the stream was. An event may be several things at once (the last text and the
 * usage): the kind is the first that applies of error, output, done; all of it is in the facts.
 */
export type Reading =
  | Output
  | { readonly kind: 'done' | 'other' }
  | { readonly kind: 'error'; readonly errorType: string }

/** What a response has said so far. */
export interface Facts {
  readonly model: string
  readonly finishReason: string
  readonly usage: Usage
  /** Empty when there was no error inside the answer. */
  readonly errorType: string
  /** The end marker has come. */
  readonly done: boolean
  /** Whether the server's counts contradict one another. */
  readonly disagrees: boolean
  /** Whether there was more than one choice, whose chunks come between one another. */
  readonly severalChoices: boolean
  /** Events that were no JSON objects: gateways make data of keep-alive comments. */
  readonly strange: number
  /** Chunks of choices that are too many to be counted. */
  readonly beyond: number
}

/** What a request asks for, as far as measuring needs it. */
export interface AskedFor {
  /** Empty when it names none. */
  readonly model: string
  readonly stream: boolean
}

/** Reads one response in one dialect. Keeps facts, no content. */
export interface Reader {
  /** The data and the name of a server-sent event, or a line of JSON. */
  event(data: string, name: string): Reading
  /** A parsed object of the stream, as client libraries give them. */
  object(value: unknown): Reading
  /** A chunk that is as one before but for its text, and has no usage. */
  again(shape: ChunkShape): Output
  /** A whole answer that was not streamed. */
  body(text: string): void
  readonly facts: () => Facts
}

const MODEL_LENGTH_MAX = 256

const OTHER: Reading = Object.freeze({ kind: 'other' })
const DONE: Reading = Object.freeze({ kind: 'done' })
const ONE_CHUNK: Output = Object.freeze({ kind: 'output', chunks: 1, tokens: null })

/** A reader at the beginning of a response; of what it says only with `wantsTexts`. */
export function createReader({ create }: Dialect, wantsTexts = false): Reader {
  const read = create()
  const counter = createUsageCounter()
  let model = ''
  let finishReason = ''
  let errorType = ''
  let done = false
  let strange = 0

  function event(data: string, name: string): Reading {
    if (data.length < 32 && data.trim() === '[DONE]') {
      done = true
      return DONE
    }
    const value = parseFields(data)
    const reading = value === null ? OTHER : object(value)
    if (name === 'error' && reading.kind !== 'error') return failed(value?.error ?? value)
    if (value === null) strange += 1
    return reading
  }

  function object(value: unknown): Reading {
    if (!isFields(value)) return OTHER
    const said = read(value)
    const { choices = 1, index, chunks = 0, usage = null } = said
    if (note(said)) {
      counter.total(usage ?? {})
      return { kind: 'error', errorType }
    }
    const hasOutput = chunks > 0
    const shape = { choices, index: typeof index === 'number' ? index : 0, hasOutput }
    const tokens = counter.chunk(shape, usage)
    if (!hasOutput) return said.done ? DONE : OTHER
    if (wantsTexts && tokens === null) {
      return { kind: 'output', chunks, tokens, texts: said.texts?.() ?? [] }
    }
    return chunks === 1 && tokens === null ? ONE_CHUNK : { kind: 'output', chunks, tokens }
  }

  /** What has nothing to do with chunks; true when it is an error. */
  function note(said: Said): boolean {
    model ||= modelOf(said.model)
    finishReason = wordOf(said.finishReason) ?? finishReason
    if (said.done) done = true
    if (said.error) failed(said.error)
    return Boolean(said.error)
  }

  function again(shape: ChunkShape): Output {
    counter.chunk(shape, null)
    return ONE_CHUNK
  }

  function body(text: string): void {
    const value = parseFields(text)
    if (value === null) {
      strange += 1
      return
    }
    const said = read(value)
    note(said)
    counter.total(said.usage ?? {})
  }

  function failed(error: unknown): Reading {
    errorType ||= errorTypeOf(error)
    return { kind: 'error', errorType }
  }

  function facts(): Facts {
    return {
      model,
      finishReason,
      usage: counter.usage(),
      errorType,
      done,
      disagrees: counter.disagrees(),
      severalChoices: counter.hasSeveral(),
      strange,
      beyond: counter.beyond(),
    }
  }
  return { event, object, again, body, facts }
}

/** What a request body asks for; null when it is no JSON object. */
export function readRequest(text: string, { wantsStream }: Dialect): AskedFor | null {
  const value = parseFields(text)
  if (value === null) return null
  return { model: modelOf(value.model), stream: wantsStream?.(value) ?? value.stream === true }
}

/** Bounded, since it becomes a label. */
function modelOf(model: unknown): string {
  return typeof model === 'string' ? model.slice(0, MODEL_LENGTH_MAX) : ''
}
