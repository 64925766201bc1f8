import type { Dialect, Said } from './dialect.ts'
import { type Fields, fieldsOf, isText, listOf } from './fields.ts'
import { textIn } from './text-in.ts'

/**
 * Ollama's own API: a JSON object on each line, streamed unless the request says no.
 * https://docs.ollama.com/api
 */
export const OLLAMA: Dialect = {
  name: 'ollama',
  path: /\/api\/(chat|generate)$/,
  marksEnd: true,
  create: () => read,
  wantsStream: ({ stream }) => stream !== false,
}

function read(value: Fields): Said {
  const message = fieldsOf(value.message)
  const hasOutput =
    isText(value.response) ||
    isText(value.thinking) ||
    isText(message.content) ||
    isText(message.thinking) ||
    listOf(message.tool_calls).length > 0
  return {
    model: value.model,
    chunks: hasOutput ? 1 : 0,
    texts: () => [textIn(value)],
    // Both come with the last line.
    usage: { inputTokens: value.prompt_eval_count, outputTokens: value.eval_count },
    finishReason: value.done_reason,
    error: value.error,
    done: value.done === true,
  }
}
