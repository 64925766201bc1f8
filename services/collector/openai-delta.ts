/** A JSON object of which nothing is known yet. */
export type Fields = Readonly<Record<string, unknown>>

/**
 * Whether a choice of a chunk carries output: text, reasoning, refusal or tool call. A role, an
 * empty string or a finish reason is none.
 */
export function hasOutput(choice: Fields): boolean {
  if (isText(choice.text)) return true
  const delta = choice.delta
  if (!isFields(delta)) return false
  return (
    isText(delta.content) ||
    isText(delta.reasoning_content) ||
    isText(delta.reasoning) ||
    isText(delta.refusal) ||
    isCall(delta.function_call) ||
    (Array.isArray(delta.tool_calls) && delta.tool_calls.some(isToolCall))
  )
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0
}

function isToolCall(call: unknown): boolean {
  return isFields(call) && (isText(call.id) || isCall(call.function) || isCall(call.custom))
}

function isCall(call: unknown): boolean {
  return isFields(call) && (isText(call.name) || isText(call.arguments) || isText(call.input))
}

/** Whether a parsed value has fields to look at. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** A JSON object out of its text; null when it is none. */
export function parseFields(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text)
    return isFields(value) ? value : null
  } catch {
    return null
  }
}
