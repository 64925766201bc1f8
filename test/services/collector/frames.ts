/** Parts of OpenAI streams as servers write them, for tests. */

/** One event. */
export function frame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

/** A chat chunk with one choice. */
export function chat(delta: object, more: object = {}): object {
  return { model: 'llama', choices: [{ index: 0, delta, finish_reason: null }], ...more }
}

/** The usage field with so many tokens. */
export function usage(completion_tokens: number, prompt_tokens = 7): object {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}

export const ROLE = chat({ role: 'assistant', content: '' })
export const FINISH = { model: 'llama', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }
export const DONE = 'data: [DONE]\n\n'

/** A whole stream: role, the texts, finish, usage, end. */
export function stream(texts: readonly string[], tokens = texts.length): string {
  const parts = texts.map((content) => frame(chat({ content })))
  const last = frame({ model: 'llama', choices: [], usage: usage(tokens) })
  return [frame(ROLE), ...parts, frame(FINISH), last, DONE].join('')
}
