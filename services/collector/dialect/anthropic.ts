import { type Dialect, NOTHING, type ReadObject, type Said } from './dialect.ts'
import { type Fields, fieldsOf, isFields, isText } from './fields.ts'
import { textIn } from './text-in.ts'
import type { GivenUsage } from './usage.ts'

/**
 * Anthropic's Messages, also as others serve them (vLLM, SGLang, llama.cpp).
 * https://platform.claude.com/docs/build-with-claude/streaming
 */
export const ANTHROPIC: Dialect = {
  name: 'anthropic',
  path: /\/v1\/messages$/,
  marksEnd: true,
  create,
}

function create(): ReadObject {
  const input: Record<string, unknown> = {}

  /** The parts of the prompt are counted apart, and come in different events. */
  function usageOf(value: unknown, outputTokens?: unknown): GivenUsage {
    const usage = fieldsOf(value)
    for (const part of INPUT_PARTS) input[part] = usage[part] ?? input[part]
    const given = INPUT_PARTS.map((part) => input[part]).filter((n) => typeof n === 'number')
    return {
      inputTokens: given.length > 0 ? given.reduce((sum, n) => sum + n, 0) : undefined,
      outputTokens,
      cachedTokens: input.cache_read_input_tokens,
    }
  }

  function start({ model, usage }: Fields): Said {
    // Its output_tokens are those of the first event, not a count of what has been sent.
    return { model, usage: usageOf(usage) }
  }

  function whole({ model, usage, stop_reason: finishReason }: Fields): Said {
    return { model, finishReason, usage: usageOf(usage, fieldsOf(usage).output_tokens) }
  }

  const types: Readonly<Record<string, ReadObject>> = {
    message_start: ({ message }) => start(fieldsOf(message)),
    content_block_start: ({ content_block: block }) => chunkIf(isBegun, block),
    content_block_delta: ({ delta }) => chunkIf(isOutput, delta),
    message_delta: ({ delta, usage }) => ({
      finishReason: fieldsOf(delta).stop_reason,
      usage: usageOf(usage, fieldsOf(usage).output_tokens),
    }),
    message_stop: () => DONE,
    error: ({ error }) => ({ error: error ?? {} }),
    message: whole,
  }
  return (value) =>
    Object.hasOwn(types, String(value.type)) ? types[String(value.type)]!(value) : NOTHING
}

const INPUT_PARTS = ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens']

const DONE: Said = Object.freeze({ done: true })

function chunkIf(hasOutput: (part: Fields) => boolean, part: unknown): Said {
  if (!isFields(part) || !hasOutput(part)) return NOTHING
  return { chunks: 1, texts: () => [textIn(part)] }
}

/**
 * The name of a tool is what the model wrote first of a call; texts begin empty; thinking that is
 * kept back comes whole.
 */
function isBegun(block: Fields): boolean {
  return [block.name, block.text, block.thinking, block.data].some(isText)
}

/** A signature or a citation is no text of the model's. */
function isOutput(delta: Fields): boolean {
  return isText(delta.text) || isText(delta.thinking) || isText(delta.partial_json)
}
