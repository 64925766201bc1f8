import { isFields, isText } from './fields.ts'

/** Fields whose texts a model wrote, and those that hold such fields. */
const WRITTEN = new Set([
  ...['content', 'text', 'response', 'thinking', 'reasoning_content', 'reasoning', 'refusal'],
  ...['name', 'arguments', 'input', 'partial_json', 'transcript'],
])
const HOLDERS = new Set(['message', 'tool_calls', 'function', 'function_call', 'custom', 'audio'])

/** Deeper than an API puts a text. */
const DEPTH_MAX = 6

/** What a model wrote in a part of an answer, of any API: one text after the other. */
export function textIn(part: unknown, depth = 0): string {
  if (typeof part === 'string') return part
  if (depth > DEPTH_MAX) return ''
  if (Array.isArray(part)) return part.map((item) => textIn(item, depth + 1)).join('')
  if (!isFields(part)) return ''
  let text = ''
  for (const [name, value] of Object.entries(part)) {
    // vLLM has the same text under both names.
    if (name === 'reasoning' && isText(part.reasoning_content)) continue
    // Ollama's arguments are an object, which the model wrote as text.
    if (name === 'arguments' && isFields(value)) text += JSON.stringify(value)
    else if (WRITTEN.has(name) || HOLDERS.has(name)) text += textIn(value, depth + 1)
  }
  return text
}
