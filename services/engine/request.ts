import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import { type ApiFault, badRequest } from './api-fault.ts'
import type { CompletionKind } from './sse.ts'

/** A longer body is refused. */
export const BODY_BYTES_MAX = 1024 * 1024
// The rest of a long body is read and thrown away, since closing on a client that still writes
// would reset the connection and lose the answer. Beyond this much we do close on it.
const DRAIN_BYTES_MAX = 16 * BODY_BYTES_MAX

/** What a completion request asks for; everything else in it is of no consequence here. */
export interface CompletionRequest {
  readonly kind: CompletionKind
  readonly model: string
  readonly stream: boolean
  /** A last frame with the usage, and `usage: null` in the frames before. */
  readonly includeUsage: boolean
  /** The usage so far in each frame, as vLLM and SGLang give it. */
  readonly continuousUsage: boolean
  readonly tokensMax: number
  readonly inputTokens: number
}

const tokenLimit = z.int().min(1).nullish()
const shared = z.object({
  model: z.string().min(1),
  stream: z.boolean().nullish(),
  stream_options: z
    .object({
      include_usage: z.boolean().nullish(),
      continuous_usage_stats: z.boolean().nullish(),
    })
    .nullish(),
  n: z.literal(1, { error: 'only 1 is served' }).nullish(),
  max_tokens: tokenLimit,
})

const textPart = z.object({ type: z.string(), text: z.string().default('') })
const chatMessage = z.object({
  role: z.string().min(1),
  content: z
    .union([z.string(), z.array(textPart)], { error: 'expected a string or a list of parts' })
    .nullish(),
})
const chatRequest = shared
  .extend({ messages: z.array(chatMessage).min(1), max_completion_tokens: tokenLimit })
  .transform(({ messages, max_completion_tokens, ...rest }) => ({
    ...rest,
    max_tokens: max_completion_tokens ?? rest.max_tokens,
    inputTokens: countTokens(messages.map(({ content }) => messageText(content)).join('')),
  }))
const textRequest = shared
  .extend({
    prompt: z.union([z.string(), z.tuple([z.string()]), z.array(z.int()).min(1)], {
      error: 'expected a string, a list of one string, or a list of token ids',
    }),
  })
  .transform(({ prompt, ...rest }) => {
    const first = typeof prompt === 'string' ? prompt : prompt[0]
    return { ...rest, inputTokens: typeof first === 'string' ? countTokens(first) : prompt.length }
  })

/** Reads a body; null when it is longer than the limit or the client went away. */
export function readBody(incoming: IncomingMessage): Promise<string | null> {
  const declaredBytes = Number(incoming.headers['content-length'] ?? 0)
  if (declaredBytes > DRAIN_BYTES_MAX) return Promise.resolve(null)
  const { promise, resolve } = Promise.withResolvers<string | null>()
  const parts: Buffer[] = []
  let bytes = 0
  incoming.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes <= BODY_BYTES_MAX) parts.push(part)
    else parts.length = 0
    if (bytes > DRAIN_BYTES_MAX) resolve(null)
  })
  incoming.on('end', () => {
    resolve(bytes > BODY_BYTES_MAX ? null : Buffer.concat(parts).toString('utf8'))
  })
  incoming.on('close', () => resolve(null))
  return promise
}

/** Checks a body against what its endpoint takes; a fault names the field and the reason. */
export function parseRequest(kind: CompletionKind, body: string): CompletionRequest | ApiFault {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (error) {
    return badRequest(null, `The body is not valid JSON: ${(error as Error).message}`)
  }
  const parsed = (kind === 'chat' ? chatRequest : textRequest).safeParse(value)
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!
    const param = path.length === 0 ? null : path.join('.')
    return badRequest(param, param === null ? message : `${param}: ${message}`)
  }
  const { model, stream, stream_options, max_tokens, inputTokens } = parsed.data
  if (stream_options && !stream) {
    return badRequest('stream_options', 'stream_options: only allowed when stream is true')
  }
  return {
    kind,
    model,
    stream: stream ?? false,
    includeUsage: stream_options?.include_usage ?? false,
    continuousUsage: stream_options?.continuous_usage_stats ?? false,
    tokensMax: max_tokens ?? Number.POSITIVE_INFINITY,
    inputTokens,
  }
}

function messageText(content: z.infer<typeof chatMessage>['content']): string {
  if (typeof content === 'string') return content
  return (content ?? []).map((part) => part.text).join('')
}

// Four characters a token: what it counts does not matter, that it is the same every time does.
function countTokens(text: string): number {
  return Math.max(1, Math.ceil(text.length / 4))
}
