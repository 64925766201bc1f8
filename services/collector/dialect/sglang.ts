import type { Dialect, ReadObject, Said } from './dialect.ts'
import { type Fields, fieldsOf, isFields, listOf } from './fields.ts'
import { CHOICES_MAX } from './usage.ts'

/**
 * SGLang's own /generate: each event repeats the text from its beginning, or brings what is new
 * (--incremental-streaming-output), and counts the tokens so far. TGI's /generate, which does not
 * stream, is read here too. https://docs.sglang.ai
 */
export const SGLANG: Dialect = { name: 'sglang', path: /\/generate$/, marksEnd: false, create }

/** The last event of a choice; its text is held until the next one. */
interface Last {
  readonly text: string
  readonly tokens: number
}

const NONE: Last = { text: '', tokens: 0 }

function create(): ReadObject {
  const choices = new Map<number, Last>()
  let bringsParts = false

  function hasOutput(index: number, { text, tokens }: Last, isLast: boolean): boolean {
    const last = choices.get(index) ?? NONE
    if (choices.has(index) || choices.size < CHOICES_MAX) choices.set(index, { text, tokens })
    // At the end a stop string may be cut off a whole.
    if (!isLast && text !== '' && !text.startsWith(last.text)) bringsParts = true
    if (bringsParts) return text !== '' && tokens > last.tokens
    // A token that is half a character makes no text longer.
    return text.length > last.text.length
  }

  return (value) => {
    const meta = fieldsOf(value.meta_info)
    const { prompt_tokens: inputTokens, completion_tokens: tokens, cached_tokens } = meta
    const reason = fieldsOf(meta.finish_reason)
    const index = typeof value.index === 'number' ? value.index : 0
    const event = { text: textOf(value), tokens: typeof tokens === 'number' ? tokens : 0 }
    const said: Said = {
      index,
      chunks: hasOutput(index, event, isFields(meta.finish_reason)) ? 1 : 0,
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
function textOf({ text, output_ids: ids }: Fields): string {
  if (typeof text === 'string' && text !== '') return text
  return listOf(ids)
    .map((id) => `${id} `)
    .join('')
}

/** A request that the server gave up. */
function abortOf({ type, err_type, status_code: code }: Fields): unknown {
  return type === 'abort' ? { type: err_type ?? (code === undefined ? type : null), code } : null
}
