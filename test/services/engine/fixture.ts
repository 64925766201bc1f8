import { loadConfig } from '../../../services/bus/config.ts'
import { createRandom } from '../../../services/core/random.ts'
import { engineConfig } from '../../../services/engine/config.ts'
import { startEngine } from '../../../services/engine/main.ts'
import type { EngineModel } from '../../../services/engine/models.ts'
import { type Plan, planRequest } from '../../../services/engine/plan.ts'
import { mixSeed } from '../../../services/engine/random.ts'
import type { TruthRecord } from '../../../services/engine/truth.ts'

export const SEED = 7

const noFaults = { http429: 0, http500: 0, inBandError: 0, truncated: 0 }

/** A model that is fast and never fails, but for what a test changes. */
export function quickModel(change: Partial<EngineModel> = {}): EngineModel {
  return {
    name: 'quick',
    ttftMs: { median: 5, sigma: 0.3 },
    gapMs: { median: 1, sigma: 0.3 },
    outputTokens: { median: 20, sigma: 0.3, max: 60 },
    multiTokenShare: 0.3,
    slots: 8,
    waitingMax: 8,
    slowdownAtFull: 1,
    kvCacheTokens: 1000,
    faults: noFaults,
    ...change,
  }
}

/** The same model with one kind of fault in every request. */
export function faultyModel(kind: keyof EngineModel['faults']): EngineModel {
  return quickModel({ faults: { ...noFaults, [kind]: 1 } })
}

/** The plan that an idle engine makes for the request with this sequence number. */
export function planOf(model: EngineModel, sequence: number, tokensMax?: number): Plan {
  const random = createRandom(mixSeed(SEED, sequence))
  return planRequest(model, random, { running: 0, waiting: 0 }, tokensMax)
}

/** Runs a test against an engine of its own, and stops it whatever happens. */
export async function withEngine(
  models: readonly EngineModel[],
  body: (engine: TestEngine) => Promise<void>,
): Promise<void> {
  const truths: TruthRecord[] = []
  const config = loadConfig(engineConfig, { env: {}, argv: ['--seed', String(SEED)] })
  const onTruth = (record: TruthRecord) => truths.push(record)
  const engine = await startEngine(config, { models, onTruth })
  try {
    await body({ url: engine.url, truths })
  } finally {
    await engine.stop()
  }
}

export interface TestEngine {
  readonly url: string
  readonly truths: readonly TruthRecord[]
}

/** A chat request to the quick model. */
export function chat(change: object = {}): object {
  const messages = [{ role: 'user', content: 'How long does it take?' }]
  return { model: 'quick', stream: true, messages, ...change }
}

/** Posts JSON, to the chat endpoint unless told otherwise. */
export function post(
  engine: TestEngine,
  body: object | string,
  more: { path?: string; headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Response> {
  return fetch(`${engine.url}${more.path ?? '/v1/chat/completions'}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...more.headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: more.signal ?? null,
  })
}

/** What the tests read out of an event of a stream. */
export interface StreamEvent {
  readonly object?: string
  readonly choices?: readonly {
    readonly delta?: { readonly role?: string; readonly content?: string }
    readonly text?: string
    readonly finish_reason: string | null
  }[]
  readonly usage?: { readonly completion_tokens: number; readonly prompt_tokens: number } | null
  readonly error?: { readonly type: string; readonly message: string }
}

/** Parses a whole stream strictly: nothing but `data:` lines, each followed by an empty one. */
export function parseStream(text: string): { events: StreamEvent[]; done: boolean } {
  const blocks = text.split('\n\n')
  if (blocks.pop() !== '') throw new Error('the last event is not complete')
  const data = blocks.map((block) => {
    if (!/^data: [^\r\n]+$/.test(block)) throw new Error(`not one data line: ${block}`)
    return block.slice('data: '.length)
  })
  const done = data.at(-1) === '[DONE]'
  if (done) data.pop()
  return { events: data.map((line) => JSON.parse(line) as StreamEvent), done }
}

/** The texts of the events that carry output. */
export function outputTexts(events: readonly StreamEvent[]): string[] {
  const texts = events.map(({ choices }) => choices?.[0]?.delta?.content ?? choices?.[0]?.text)
  return texts.filter((text) => text !== undefined && text !== '') as string[]
}

/** A word a token. */
export function countTokens(text: string): number {
  return text.trim().split(' ').length
}
