import type { Fields } from './fields.ts'
import type { ChunkShape, GivenUsage } from './usage.ts'

/** What one JSON object of an answer says. What is left out, it says nothing of. */
export interface Said {
  readonly model?: unknown
  /** Choices that it speaks of, and the index of the first; unless said otherwise, one, and 0. */
  readonly choices?: number
  readonly index?: unknown
  /** How many of them it has output for: each one's is a chunk. */
  readonly chunks?: number
  /** What each of these chunks says, for a tokenizer; left out where the server counts. */
  readonly texts?: () => readonly string[]
  /** Counts so far, never those of this object alone; `outputTokens` is that of the choice. */
  readonly usage?: GivenUsage
  readonly finishReason?: unknown
  /** An error inside the answer: a string, or an object with `type` or `code`. */
  readonly error?: unknown
  /** Whether the answer is whole with it. */
  readonly done?: boolean
}

/** Reads the objects of one answer in their order, or the whole of one that was not streamed. */
export type ReadObject = (value: Fields) => Said

/**
 * How one API writes its answers: a pure reader of parsed objects. Bytes, lines, events, counting
 * and what is over the limits are the same for all (reader.ts).
 */
export interface Dialect {
  readonly name: string
  /** The paths of its requests, without the query. */
  readonly path: RegExp
  /** A reader at the beginning of an answer. */
  readonly create: () => ReadObject
  /** Whether an object tells the end of a stream, and not `[DONE]`, which client libraries keep. */
  readonly marksEnd: boolean
  /** Whether a request is for a stream; by default its field `stream`. */
  readonly wantsStream?: (request: Fields) => boolean
  /**
   * What an event is when it may only differ in the text of its token from those that follow; null
   * when more than that is in it. Without this, every event is parsed.
   */
  readonly shapeOf?: (value: Fields) => ChunkShape | null
}

/** Says nothing. */
export const NOTHING: Said = Object.freeze({})
