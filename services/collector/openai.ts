import { errorTypeOf, wordOf } from './error-type.ts'
import { type Fields, hasOutput, isFields, parseFields } from './openai-delta.ts'
import { type ChunkShape, createUsageCounter, type Usage } from './openai-usage.ts'

/**
 * What one event of the stream was. An event may be several things at once (the last text and the
 * usage): the kind is the first that applies of error, output, usage; all of it is in the facts.
 */
export type Reading =
  | {
      readonly kind: 'output'
      /** Choices with output: each one's delta is a chunk of the request. */
      readonly chunks: number
      /** Output tokens of the chunk; null when the server does not count as it goes. */
      readonly tokens: number | null
    }
  | { readonly kind: 'usage' | 'done' | 'other' }
  | { readonly kind: 'error'; readonly errorType: string }

/** What a response has said so far. */
export interface Facts {
  readonly model: string
  readonly finishReason: string
  readonly usage: Usage
  /** Empty when there was no error inside the answer. */
  readonly errorType: string
  /** `[DONE]` has come. */
  readonly done: boolean
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

/** Reads one response in OpenAI's form, chat or text completion. Keeps facts, no content. */
export interface OpenAiReader {
  /** The data and the name of a server-sent event. */
  event(data: string, name: string): Reading
  /** A parsed chunk, as client libraries give them. */
  chunk(value: unknown): Reading
  /** A chunk that is as one before but for its text, and has no usage. */
  again(shape: ChunkShape): Reading
  /** A whole answer that was not streamed. */
  body(text: string): Reading
  readonly facts: () => Facts
}

const MODEL_LENGTH_MAX = 256

const OTHER: Reading = Object.freeze({ kind: 'other' })
const USAGE: Reading = Object.freeze({ kind: 'usage' })
const DONE: Reading = Object.freeze({ kind: 'done' })
const ONE_CHUNK: Reading = Object.freeze({ kind: 'output', chunks: 1, tokens: null })

/** A reader at the beginning of a response. */
export function createOpenAiReader(): OpenAiReader {
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
    if (name === 'error') return failed(value?.error ?? value)
    if (value !== null) return chunk(value)
    strange += 1
    return OTHER
  }

  function chunk(value: unknown): Reading {
    if (!isFields(value)) return OTHER
    model ||= modelOf(value)
    const error = errorIn(value)
    if (error !== null) return failed(error)
    const choices = Array.isArray(value.choices) ? value.choices : []
    let chunks = 0
    for (const choice of choices) if (isFields(choice) && readChoice(choice)) chunks += 1
    const shape = { choices: choices.length, index: indexOf(choices), hasOutput: chunks > 0 }
    const tokens = counter.chunk(shape, value.usage)
    if (chunks === 0) return isFields(value.usage) ? USAGE : OTHER
    return chunks === 1 && tokens === null ? ONE_CHUNK : { kind: 'output', chunks, tokens }
  }

  function again(shape: ChunkShape): Reading {
    counter.chunk(shape, null)
    return ONE_CHUNK
  }

  function body(text: string): Reading {
    const value = parseFields(text)
    if (value === null) {
      strange += 1
      return OTHER
    }
    model = modelOf(value)
    const error = errorIn(value)
    if (error !== null) return failed(error)
    for (const choice of Array.isArray(value.choices) ? value.choices : []) {
      if (isFields(choice)) readChoice(choice)
    }
    counter.total(value.usage)
    return isFields(value.usage) ? USAGE : OTHER
  }

  function readChoice(choice: Fields): boolean {
    finishReason = wordOf(choice.finish_reason) ?? finishReason
    return hasOutput(choice)
  }

  function failed(error: unknown): Reading {
    errorType ||= errorTypeOf(error)
    return { kind: 'error', errorType }
  }

  const facts = () => {
    const [usage, beyond] = [counter.usage(), counter.beyond()]
    return { model, finishReason, usage, errorType, done, strange, beyond }
  }
  return { event, chunk, again, body, facts }
}

/** What a request body asks for; null when it is no JSON object. */
export function readRequest(text: string): AskedFor | null {
  const value = parseFields(text)
  return value && { model: modelOf(value), stream: value.stream === true }
}

/** The error of an answer: `{"error": ...}`, or vLLM's older `{"object": "error", "type": ...}`. */
function errorIn(value: Fields): unknown {
  if (value.object === 'error') return value
  return value.error || null
}

/** Bounded, since it becomes a label. */
function modelOf({ model }: Fields): string {
  return typeof model === 'string' ? model.slice(0, MODEL_LENGTH_MAX) : ''
}

function indexOf(choices: readonly unknown[]): number {
  const [first] = choices
  return isFields(first) && typeof first.index === 'number' ? first.index : 0
}
