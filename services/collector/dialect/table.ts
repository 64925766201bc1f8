import { ANTHROPIC } from './anthropic.ts'
import type { Dialect } from './dialect.ts'
import { LLAMA_CPP } from './llama-cpp.ts'
import { OLLAMA } from './ollama.ts'
import { OPENAI } from './openai.ts'
import { OPENAI_RESPONSES } from './openai-responses.ts'
import { SGLANG } from './sglang.ts'
import { TGI } from './tgi.ts'
import { VLLM } from './vllm.ts'

/** Of paths that two of them have, the first one's. */
export const DIALECTS: readonly Dialect[] = [
  OPENAI,
  OPENAI_RESPONSES,
  ANTHROPIC,
  OLLAMA,
  VLLM,
  TGI,
  SGLANG,
  LLAMA_CPP,
]

/** How the answer to a request is read; null for one that is none for output. */
export function dialectOf(method: string, target: string): Dialect | null {
  if (method !== 'POST') return null
  const path = target.split('?', 1)[0]!
  // Triton's own generate is another one.
  if (path.includes('/v2/models/')) return null
  return DIALECTS.find((dialect) => dialect.path.test(path)) ?? null
}
