import type { Dialect, ReadObject } from './dialect.ts'
import { fieldsOf, isFields, listOf } from './fields.ts'
import { openAiUsage } from './openai.ts'
import { CHOICES_MAX } from './usage.ts'

/**
 * vLLM's own /inference/v1/generate: numbers of tokens in and out, nothing of text. Its other paths
 * are OpenAI's. https://docs.vllm.ai
 */
export const VLLM: Dialect = {
  name: 'vllm',
  path: /\/inference\/v1\/generate$/,
  marksEnd: false,
  create,
}

function create(): ReadObject {
  const counts = new Map<unknown, number>()
  return (value) => {
    const choices = listOf(value.choices).filter(isFields)
    const { index: firstIndex } = fieldsOf(choices[0])
    for (const { index, token_ids: ids } of choices) {
      if (!counts.has(index) && counts.size >= CHOICES_MAX) continue
      counts.set(index, (counts.get(index) ?? 0) + listOf(ids).length)
    }
    const outputTokens = choices.length === 1 ? counts.get(firstIndex) : null
    return {
      choices: choices.length,
      index: firstIndex,
      chunks: choices.filter(({ token_ids: ids }) => listOf(ids).length > 0).length,
      usage: isFields(value.usage) ? openAiUsage(value.usage) : { outputTokens },
      finishReason: choices.findLast(({ finish_reason: reason }) => reason)?.finish_reason,
      error: value.error,
    }
  }
}
