import type { Dialect, Said } from './dialect.ts'
import { type Fields, fieldsOf, isText } from './fields.ts'

/**
 * llama.cpp's own /completion and /infill, which count as they go.
 * https://github.com/ggml-org/llama.cpp/tree/master/tools/server
 */
export const LLAMA_CPP: Dialect = {
  name: 'llama.cpp',
  path: /\/(completion|infill)$/,
  marksEnd: true,
  create: () => readLlamaCpp,
}

/** Reads one of its objects. */
export function readLlamaCpp(value: Fields): Said {
  return {
    model: value.model,
    index: value.index,
    chunks: isText(value.content) ? 1 : 0,
    usage: {
      inputTokens: value.tokens_evaluated,
      outputTokens: value.tokens_predicted,
      cachedTokens: fieldsOf(value.timings).cache_n,
    },
    finishReason: value.stop_type,
    error: value.error,
    done: value.stop === true,
  }
}
