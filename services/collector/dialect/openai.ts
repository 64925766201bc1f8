import type { Dialect, Said } from './dialect.ts'
import { type Fields, fieldsOf, isFields, isText, listOf } from './fields.ts'
import { readLlamaCpp } from './llama-cpp.ts'
import { textIn } from './text-in.ts'
import type { ChunkShape, GivenUsage } from './usage.ts'

/**
 * Chat and text completions of OpenAI and of the many servers that answer like it: vLLM, SGLang,
 * TGI, llama.cpp, Ollama, gateways. https://platform.openai.com/docs/api-reference/chat-streaming
 */
export const OPENAI: Dialect = {
  name: 'openai',
  path: /\/completions$/,
  marksEnd: false,
  create: () => (value) => (isLlamaCpp(value) ? readLlamaCpp(value) : read(value)),
  shapeOf,
}

/** llama.cpp has its own API under /completions too. */
function isLlamaCpp(value: Fields): boolean {
  return value.choices === undefined && 'content' in value && 'stop' in value
}

function read(value: Fields): Said {
  const choices = listOf(value.choices)
  const said = choices.filter(isFields)
  const withOutput = said.filter(hasOutput)
  return {
    model: value.model,
    choices: choices.length,
    index: fieldsOf(choices[0]).index,
    chunks: withOutput.length,
    texts: () => withOutput.map(({ text, delta }) => (isText(text) ? text : textIn(delta))),
    usage: isFields(value.usage) ? openAiUsage(value.usage) : undefined,
    finishReason: said.findLast(({ finish_reason: reason }) => reason)?.finish_reason,
    error: errorIn(value),
  }
}

/** OpenAI's names of the counts. */
export function openAiUsage(usage: Fields): GivenUsage {
  return {
    inputTokens: usage.prompt_tokens,
    outputTokens: usage.completion_tokens,
    cachedTokens: fieldsOf(usage.prompt_tokens_details).cached_tokens,
    reasoningTokens: fieldsOf(usage.completion_tokens_details).reasoning_tokens,
  }
}

/** `{"error": ...}`, or vLLM's older `{"object": "error", "type": ...}`. */
function errorIn(value: Fields): unknown {
  return value.object === 'error' ? value : value.error
}

/**
 * Whether a choice of a chunk carries output: text, reasoning, refusal or tool call. A role, an
 * empty string or a finish reason is none.
 */
function hasOutput(choice: Fields): boolean {
  if (isText(choice.text)) return true
  const { delta } = choice
  if (!isFields(delta)) return false
  return (
    isText(delta.content) ||
    // Parts, as Mistral sends thinking.
    listOf(delta.content).length > 0 ||
    isText(delta.reasoning_content) ||
    isText(delta.reasoning) ||
    isText(delta.refusal) ||
    isCall(delta.function_call) ||
    isAudio(delta.audio) ||
    listOf(delta.tool_calls).some(isToolCall)
  )
}

function isAudio(audio: unknown): boolean {
  return isFields(audio) && (isText(audio.data) || isText(audio.transcript))
}

function isToolCall(call: unknown): boolean {
  return isFields(call) && (isText(call.id) || isCall(call.function) || isCall(call.custom))
}

function isCall(call: unknown): boolean {
  return isFields(call) && (isText(call.name) || isText(call.arguments) || isText(call.input))
}

function shapeOf(value: Fields): ChunkShape | null {
  if (value.usage || errorIn(value)) return null
  const [choice, ...others] = listOf(value.choices)
  if (others.length > 0 || !isFields(choice) || choice.finish_reason) return null
  const index = typeof choice.index === 'number' ? choice.index : 0
  return hasOutput(choice) ? { choices: 1, index, hasOutput: true } : null
}
