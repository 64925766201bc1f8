import { type Dialect, NOTHING, type Said } from './dialect.ts'
import { type Fields, fieldsOf, isFields, isText } from './fields.ts'
import type { GivenUsage } from './usage.ts'

/**
 * The Responses API of OpenAI, vLLM and others. Of its more than fifty types of events those that
 * end in `.delta` bring output, and three end the stream, which has no `[DONE]`.
 * https://platform.openai.com/docs/api-reference/responses-streaming
 */
export const OPENAI_RESPONSES: Dialect = {
  name: 'openai-responses',
  path: /\/responses$/,
  marksEnd: true,
  create: () => read,
}

const ENDS = new Set(['response.completed', 'response.incomplete', 'response.failed'])

function read(value: Fields): Said {
  const { type } = value
  if (value.object === 'response') return ofResponse(value)
  if (typeof type !== 'string') return { error: value.error }
  if (type.endsWith('.delta'))
    return isText(value.delta) ? chunkOf(textOf(type, value.delta)) : NOTHING
  if (type === 'response.output_item.added') return toolNamed(value.item)
  if (ENDS.has(type)) return { ...ofResponse(fieldsOf(value.response)), done: true }
  if (type === 'error') return { error: value.error ?? { code: value.code } }
  return isFields(value.response) ? { model: value.response.model } : NOTHING
}

/** The name of a tool is what the model wrote first of a call. */
function toolNamed(item: unknown): Said {
  return isFields(item) && isText(item.name) ? chunkOf(item.name) : NOTHING
}

/** Sound is base64, which nobody has written. */
function textOf(type: string, delta: string): string {
  return type.endsWith('audio.delta') ? '' : delta
}

function chunkOf(text: string): Said {
  return { chunks: 1, texts: () => [text] }
}

function ofResponse(response: Fields): Said {
  const { model, status, usage, error } = response
  return {
    model,
    finishReason: fieldsOf(response.incomplete_details).reason ?? status,
    usage: isFields(usage) ? responsesUsage(usage) : undefined,
    error: error ?? (status === 'failed' ? {} : undefined),
  }
}

function responsesUsage(usage: Fields): GivenUsage {
  return {
    inputTokens: usage.input_tokens,
    outputTokens: usage.output_tokens,
    cachedTokens: fieldsOf(usage.input_tokens_details).cached_tokens,
    reasoningTokens: fieldsOf(usage.output_tokens_details).reasoning_tokens,
  }
}
