import { z } from 'zod'
import { duration, toggle } from '../bus/config.ts'

const port = z.coerce.number().int().min(0).max(65_535)
const seed = z.coerce.number().int().min(0).max(0xffff_ffff)

/** The options of the simulated engine. */
export const engineConfig = z.strictObject({
  host: z
    .string()
    .default('127.0.0.1')
    .meta({ env: 'LENS_ENGINE_HOST' })
    .describe('Address to listen on'),
  port: port.default(0).meta({ env: 'LENS_ENGINE_PORT' }).describe('Port; 0 takes a free one'),
  seed: seed
    .default(1)
    .meta({ env: 'LENS_ENGINE_SEED' })
    .describe('All randomness: same seed and same order of requests, same plans'),
  models: z
    .string()
    .default('')
    .meta({ env: 'LENS_ENGINE_MODELS' })
    .describe('JSON file with the table of models; empty = tiny-chat, medium-chat, large-chat'),
  faultless: toggle
    .meta({ env: 'LENS_ENGINE_FAULTLESS', flag: 'boolean' })
    .describe('Take every random fault out of the models'),
  truth: z
    .string()
    .default('')
    .meta({ env: 'LENS_ENGINE_TRUTH' })
    .describe('NDJSON file to append what was truly sent, and when; empty = none'),
  requestTimeout: duration
    .prefault('30s')
    .meta({ env: 'LENS_ENGINE_REQUEST_TIMEOUT' })
    .describe('Within which a client must have sent its request'),
})

/** What `engineConfig` gives. */
export type EngineConfig = Readonly<z.infer<typeof engineConfig>>

/** The head of the --help text. */
export const usage = `usage: node services/engine/main.ts [options]

A simulated OpenAI-compatible inference engine that knows the truth about what it sent.
Serves /v1/chat/completions, /v1/completions, /v1/models, /healthz and /metrics.

examples:
  node services/engine/main.ts --port 8000 --truth truth.ndjson
  node services/engine/main.ts --seed 7 --faultless --models my-models.json
  curl -N localhost:8000/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"tiny-chat","stream":true,"messages":[{"role":"user","content":"hi"}]}'`
