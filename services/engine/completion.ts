import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRandom } from '../core/random.ts'
import { bodyTooLarge, engineFailed, overloaded, unknownModel } from './api-fault.ts'
import { beginExchange, type Exchange } from './exchange.ts'
import type { EngineModel } from './models.ts'
import { planRequest } from './plan.ts'
import { mixSeed } from './random.ts'
import { BODY_BYTES_MAX, type CompletionRequest, parseRequest, readBody } from './request.ts'
import { answerPlan, streamPlan } from './response.ts'
import type { Slots } from './slots.ts'
import type { CompletionKind, Envelope } from './sse.ts'
import type { TruthRecord } from './truth.ts'

const HEADER_CHARACTERS_MAX = 128

/** One model with what it is doing. */
export interface Deck {
  readonly model: EngineModel
  readonly slots: Slots
  readonly running: Set<Exchange>
}

/** The state of an engine. */
export interface Engine {
  readonly seed: number
  readonly decks: ReadonlyMap<string, Deck>
  readonly active: Set<Exchange>
  /** Sets the ids of this run apart from those of another with the same seed. */
  readonly runId: string
  received: number
  planned: number
  readonly onTruth: (record: TruthRecord) => void
}

/** Serves one POST to a completion endpoint, from its arrival to the line of truth about it. */
export async function complete(
  engine: Engine,
  kind: CompletionKind,
  incoming: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  engine.received++
  const ownId = `${kind === 'chat' ? 'chatcmpl' : 'cmpl'}-${engine.runId}-${engine.received}`
  const requestId = header(incoming, 'x-lens-request-id') || ownId
  const exchange = beginExchange(res, { requestId, tenant: header(incoming, 'x-lens-tenant') })
  engine.active.add(exchange)
  exchange.onEnd(() => {
    engine.active.delete(exchange)
    engine.onTruth(exchange.truth)
  })
  res.setHeader('x-request-id', requestId)

  const body = await readBody(incoming)
  if (exchange.ended) return
  if (body === null) return exchange.refuse(bodyTooLarge(BODY_BYTES_MAX))
  const request = parseRequest(kind, body)
  if ('status' in request) return exchange.refuse(request)
  const deck = engine.decks.get(request.model)
  if (deck === undefined) return exchange.refuse(unknownModel(request.model))
  serve(engine, deck, exchange, request, ownId)
}

function serve(
  engine: Engine,
  { model, slots, running }: Deck,
  exchange: Exchange,
  request: CompletionRequest,
  id: string,
): void {
  const { truth } = exchange
  truth.model = model.name
  truth.streamed = request.stream
  truth.input_tokens = request.inputTokens
  const createdSeconds = Math.floor(truth.started_at_us / 1_000_000)
  const envelope: Envelope = { kind: request.kind, id, model: model.name, createdSeconds }

  const random = createRandom(mixSeed(engine.seed, engine.planned++))
  const load = { running: slots.running, waiting: slots.waiting }
  const plan = planRequest(model, random, load, request.tokensMax)
  if (plan.fate.kind === 'rejected') {
    exchange.refuse(plan.fate.status === 429 ? overloaded : engineFailed)
    return
  }
  const seat = slots.enter(() => {
    running.add(exchange)
    const send = request.stream ? streamPlan : answerPlan
    send(exchange, envelope, request, plan)
  })
  if (seat === null) exchange.refuse(overloaded)
  else {
    exchange.onEnd(() => {
      running.delete(exchange)
      seat.leave()
    })
  }
}

function header(incoming: IncomingMessage, name: string): string {
  const value = incoming.headers[name]
  return typeof value === 'string' ? value.slice(0, HEADER_CHARACTERS_MAX) : ''
}
