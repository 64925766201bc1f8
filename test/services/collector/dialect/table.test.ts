import { expect } from 'chai'
import { dialectOf } from '../../../../services/collector/dialect/table.ts'

const PATHS: readonly [method: string, target: string, name: string | null][] = [
  ['POST', '/v1/chat/completions', 'openai'],
  ['POST', '/v1/completions', 'openai'],
  ['POST', '/openai/deployments/d/chat/completions?api-version=2026-01-01', 'openai'],
  ['POST', '/v1/responses', 'openai-responses'],
  ['POST', '/v1/messages?beta=true', 'anthropic'],
  ['POST', '/api/chat', 'ollama'],
  ['POST', '/api/generate', 'ollama'],
  ['POST', '/inference/v1/generate', 'vllm'],
  ['POST', '/generate_stream', 'tgi'],
  ['POST', '/generate', 'sglang'],
  ['POST', '/completion', 'llama.cpp'],
  ['GET', '/v1/chat/completions', null],
  ['GET', '/v1/responses/resp_1', null],
  ['POST', '/v1/messages/count_tokens', null],
  ['POST', '/v1/responses/resp_1/cancel', null],
  ['POST', '/v1/embeddings?path=/completions', null],
  ['POST', '/v1/chat/completions/', null],
  ['POST', '/v1/threads/thread_1/messages', null],
  ['POST', '/v2/models/ensemble/generate_stream', null],
  ['POST', '/', null],
]

describe('collector/dialect/table', () => {
  for (const [method, target, name] of PATHS) {
    it(`${method} ${target} is read as ${name ?? 'nothing'}`, () => {
      expect(dialectOf(method, target)?.name ?? null).equal(name)
    })
  }
})
