/** Which of the two endpoints a request came to. */
export type CompletionKind = 'chat' | 'text'

/** What every frame of one response repeats. */
export interface Envelope {
  readonly kind: CompletionKind
  readonly id: string
  readonly model: string
  readonly createdSeconds: number
}

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/**
 * The usage field of one frame: a value, null (OpenAI, in the frames before the usage frame), or
 * undefined for a frame without the field.
 */
export type FrameUsage = Usage | null | undefined

/** The last event of every stream that was not cut off. */
export const DONE_FRAME = 'data: [DONE]\n\n'

/** The usage of a response with so many tokens. */
export function usageOf(inputTokens: number, outputTokens: number): Usage {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  }
}

/** The first frame of a chat stream: a role and no text, so no token. */
export function roleFrame(envelope: Envelope, usage: FrameUsage): string {
  const delta = { role: 'assistant', content: '' }
  return frame(envelope, [{ index: 0, delta, logprobs: null, finish_reason: null }], usage)
}

/** A frame with output. */
export function textFrame(envelope: Envelope, text: string, usage: FrameUsage): string {
  const part = envelope.kind === 'chat' ? { delta: { content: text } } : { text }
  return frame(envelope, [{ index: 0, ...part, logprobs: null, finish_reason: null }], usage)
}

/** The frame that says why the output ended. */
export function finishFrame(envelope: Envelope, reason: string, usage: FrameUsage): string {
  const part = envelope.kind === 'chat' ? { delta: {} } : { text: '' }
  return frame(envelope, [{ index: 0, ...part, logprobs: null, finish_reason: reason }], usage)
}

/** The frame without choices that `stream_options.include_usage` asks for. */
export function usageFrame(envelope: Envelope, usage: Usage): string {
  return frame(envelope, [], usage)
}

/** An error inside a stream whose status was 200 already. */
export function errorFrame(error: object): string {
  return `data: ${JSON.stringify({ error })}\n\n`
}

/** The body of a response that was not streamed. */
export function wholeBody(
  envelope: Envelope,
  text: string,
  finishReason: string,
  usage: Usage,
): string {
  const chat = envelope.kind === 'chat'
  const part = chat ? { message: { role: 'assistant', content: text } } : { text }
  const choice = { index: 0, ...part, logprobs: null, finish_reason: finishReason }
  const object = chat ? 'chat.completion' : 'text_completion'
  return JSON.stringify({ ...head(envelope, object), choices: [choice], usage })
}

function frame(envelope: Envelope, choices: readonly object[], usage: FrameUsage): string {
  const object = envelope.kind === 'chat' ? 'chat.completion.chunk' : 'text_completion'
  return `data: ${JSON.stringify({ ...head(envelope, object), choices, usage })}\n\n`
}

function head({ id, createdSeconds, model }: Envelope, object: string) {
  return { id, object, created: createdSeconds, model }
}
