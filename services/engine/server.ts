import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { faultBody, noRoute } from './api-fault.ts'
import { complete, type Deck, type Engine } from './completion.ts'
import { type ModelLoad, renderMetrics } from './metrics.ts'
import type { EngineModel } from './models.ts'
import { createSlots } from './slots.ts'
import type { TruthRecord } from './truth.ts'

const CONNECTIONS_MAX = 10_000

/** Creates the state of an engine that is idle. */
export function createEngine(
  models: readonly EngineModel[],
  seed: number,
  onTruth: (record: TruthRecord) => void,
): Engine {
  const decks = models.map((model): [string, Deck] => {
    const slots = createSlots(model.slots, model.waitingMax)
    return [model.name, { model, slots, running: new Set() }]
  })
  return {
    seed,
    decks: new Map(decks),
    active: new Set(),
    runId: Date.now().toString(36),
    received: 0,
    planned: 0,
    onTruth,
  }
}

/** Creates the HTTP server of an engine; it does not listen yet. */
export function createEngineServer(engine: Engine, requestTimeoutMs: number): Server {
  const server = createServer(
    {
      requestTimeout: requestTimeoutMs,
      headersTimeout: Math.min(10_000, requestTimeoutMs),
      // Longer than a client keeps an idle connection, so that the client closes first and never
      // sends a request into a closing one.
      keepAliveTimeout: 75_000,
      maxHeaderSize: 16 * 1024,
    },
    (incoming, res) => route(engine, incoming, res),
  )
  server.maxConnections = CONNECTIONS_MAX
  return server
}

type Handler = (engine: Engine, incoming: IncomingMessage, res: ServerResponse) => void

const routes: Readonly<Record<string, { readonly method: string; readonly handler: Handler }>> = {
  '/v1/chat/completions': {
    method: 'POST',
    handler: (engine, incoming, res) => void complete(engine, 'chat', incoming, res),
  },
  '/v1/completions': {
    method: 'POST',
    handler: (engine, incoming, res) => void complete(engine, 'text', incoming, res),
  },
  '/v1/models': { method: 'GET', handler: (engine, _, res) => sendJson(res, 200, list(engine)) },
  '/healthz': { method: 'GET', handler: (_, __, res) => sendJson(res, 200, { status: 'ok' }) },
  '/metrics': {
    method: 'GET',
    handler: (engine, _, res) => {
      res.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
      res.end(renderMetrics([...engine.decks.values()].map(loadOf)))
    },
  },
}

function route(engine: Engine, incoming: IncomingMessage, res: ServerResponse): void {
  const path = (incoming.url ?? '').split('?', 1)[0]!
  const method = incoming.method ?? ''
  const found = Object.hasOwn(routes, path) ? routes[path] : undefined
  if (found?.method === method) {
    found.handler(engine, incoming, res)
    return
  }
  incoming.resume()
  if (found !== undefined) res.setHeader('allow', found.method)
  const fault = noRoute(found === undefined ? 404 : 405, method, path)
  sendJson(res, fault.status, { error: faultBody(fault) })
}

function list(engine: Engine): object {
  const data = [...engine.decks.keys()].map((id) => ({
    id,
    object: 'model',
    created: 0,
    owned_by: 'llm-latency-lens',
  }))
  return { object: 'list', data }
}

function loadOf({ model, slots, running }: Deck): ModelLoad {
  let kvTokens = 0
  for (const { truth } of running) kvTokens += truth.input_tokens + truth.output_tokens
  return {
    model: model.name,
    slots: model.slots,
    running: slots.running,
    waiting: slots.waiting,
    kvTokens,
    kvTokensMax: model.kvCacheTokens,
  }
}

function sendJson(res: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  res.end(text)
}
