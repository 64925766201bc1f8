import type { Dialect, ReadObject } from './dialect.ts'
import { type Fields, fieldsOf, isFields, isText } from './fields.ts'

/**
 * Text Generation Inference of Hugging Face: an event for each token, so that the counts are exact.
 * https://huggingface.github.io/text-generation-inference
 */
export const TGI: Dialect = {
  name: 'tgi',
  path: /\/generate_stream$/,
  marksEnd: true,
  create,
  wantsStream: () => true,
}

function create(): ReadObject {
  let tokens = 0
  return (value) => {
    const { token, details } = value
    if (isFields(token)) tokens += 1
    const { finish_reason: finishReason, generated_tokens: total, input_length } = fieldsOf(details)
    return {
      // The end of a sequence is a token, but no text.
      chunks: isFields(token) && isText(token.text) && token.special !== true ? 1 : 0,
      usage: { inputTokens: input_length, outputTokens: total ?? (tokens > 0 ? tokens : null) },
      finishReason,
      error: errorIn(value),
      done: typeof value.generated_text === 'string',
    }
  }
}

function errorIn({ error, error_type: type }: Fields): unknown {
  return error === undefined || error === null ? undefined : { type: type ?? error }
}
