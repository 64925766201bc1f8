import type { Dialect, ReadObject, Said } from './dialect.ts'
import { type Fields, fieldsOf, isFields } from './fields.ts'
import { CHOICES_MAX } from './usage.ts'

/**
 * SGLang's own /generate: each event repeats the text from its beginning (or, with
 * --stream-output, brings what is new), and counts the tokens so far. TGI's /generate, which does
 * not stream, is read here too. https://docs.sglang.ai
 */
export const SGLANG: Dialect = { name: 'sglang', path: /\/generate$/, create }

/** The last event of a choice: how long its text was. */
interface Last {
  size: number
  tokens: number
}

function create(): ReadObject {
  const choices = new Map<number, Last>()
  /** Texts that got shorter are parts, not wholes. */
  let bringsParts = false

  function hasOutput(index: number, size: number, tokens: number): boolean {
    const last = choices.get(index) ?? { size: 0, tokens: 0 }
    if (size < last.size) bringsParts = true
    // A token that is half a character makes no text longer.
    const isNew = size !== last.size || (bringsParts && tokens > last.tokens)
    if (choices.has(index) || choices.size < CHOICES_MAX) choices.set(index, { size, tokens })
    return size > 0 && isNew
  }

  return (value) => {
    const meta = fieldsOf(value.meta_info)
    const { prompt_tokens: inputTokens, completion_tokens: tokens, cached_tokens } = meta
    const reason = fieldsOf(meta.finish_reason)
    const index = typeof value.index === 'number' ? value.index : 0
    const count = typeof tokens === 'number' ? tokens : 0
    const said: Said = {
      index,
      chunks: hasOutput(index, sizeOf(value), count) ? 1 : 0,
      finishReason: reason.type,
      error: value.error ?? abortOf(reason),
    }
    if (isFields(value.details)) {
      const { finish_reason: finishReason, generated_tokens: outputTokens } = value.details
      return { ...said, finishReason, usage: { outputTokens } }
    }
    return { ...said, usage: { inputTokens, outputTokens: tokens, cachedTokens: cached_tokens } }
  }
}

/** Without a tokenizer in the server its answers are lists of numbers. */
function sizeOf({ text, output_ids: ids }: Fields): number {
  if (typeof text === 'string') return text.length
  return Array.isArray(ids) ? ids.length : 0
}

/** A request that the server gave up, with the status that it would have had. */
function abortOf({ type, err_type, status_code: code }: Fields): unknown {
  return type === 'abort' && typeof code === 'number' ? { type: err_type, code } : null
}
