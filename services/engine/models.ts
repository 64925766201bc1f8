import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { LensError } from '../core/errors.ts'

const logNormal = z.strictObject({
  median: z.number().positive(),
  sigma: z.number().min(0).max(3),
})
const probability = z.number().min(0).max(1)

const faultRates = z
  .strictObject({
    http429: probability,
    http500: probability,
    inBandError: probability,
    truncated: probability,
  })
  .refine((rates) => Object.values(rates).reduce((sum, rate) => sum + rate) <= 1, {
    error: 'the probabilities add up to more than 1',
  })

const engineModel = z.strictObject({
  name: z.string().min(1).max(128),
  /** Time to the first token on an idle engine, counted from when the request has a slot. */
  ttftMs: logNormal,
  gapMs: logNormal,
  outputTokens: logNormal.extend({ max: z.int().min(1).max(32_768) }),
  /** Share of chunks that carry 2 to 5 tokens, as speculative decoding sends them. */
  multiTokenShare: probability,
  /** Requests that are served at once; those beyond wait, and those beyond `waitingMax` get 429. */
  slots: z.int().min(1).max(4096),
  waitingMax: z.int().min(0).max(65_536),
  /** Every time is multiplied by 1 + slowdownAtFull × (share of slots taken)². */
  slowdownAtFull: z.number().min(0).max(100),
  kvCacheTokens: z.int().min(1),
  faults: faultRates,
})

/** How one simulated model behaves. */
export type EngineModel = Readonly<z.infer<typeof engineModel>>

const modelTable = z
  .array(engineModel)
  .min(1)
  .max(64)
  .refine((models) => new Set(models.map(({ name }) => name)).size === models.length, {
    error: 'two models have the same name',
  })

const rareFaults = { http429: 0.004, http500: 0.003, inBandError: 0.003, truncated: 0.003 }

/** The models of an engine that was given no table. */
export const defaultModels: readonly EngineModel[] = [
  {
    name: 'tiny-chat',
    ttftMs: { median: 30, sigma: 0.35 },
    gapMs: { median: 4, sigma: 0.3 },
    outputTokens: { median: 40, sigma: 0.5, max: 512 },
    multiTokenShare: 0.1,
    slots: 64,
    waitingMax: 256,
    slowdownAtFull: 1,
    kvCacheTokens: 32_768,
    faults: rareFaults,
  },
  {
    name: 'medium-chat',
    ttftMs: { median: 120, sigma: 0.4 },
    gapMs: { median: 10, sigma: 0.3 },
    outputTokens: { median: 80, sigma: 0.5, max: 1024 },
    multiTokenShare: 0.15,
    slots: 32,
    waitingMax: 128,
    slowdownAtFull: 1,
    kvCacheTokens: 24_576,
    faults: rareFaults,
  },
  {
    name: 'large-chat',
    ttftMs: { median: 350, sigma: 0.45 },
    gapMs: { median: 18, sigma: 0.35 },
    outputTokens: { median: 120, sigma: 0.6, max: 2048 },
    multiTokenShare: 0.2,
    slots: 24,
    waitingMax: 64,
    slowdownAtFull: 1,
    kvCacheTokens: 24_576,
    faults: rareFaults,
  },
]

/**
 * Reads a model table from a JSON file; without a file name it is the default table. Throws
 * LensError configuration_invalid with each fault.
 */
export function readModels(file: string): readonly EngineModel[] {
  if (file === '') return defaultModels
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    const reason = (cause as Error).message
    throw new LensError('configuration_invalid', `cannot read models from ${file}: ${reason}`, {
      cause,
    })
  }
  const parsed = modelTable.safeParse(value)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new LensError('configuration_invalid', `models in ${file}:\n${faults.join('\n')}`)
}

/** The same models with every fault taken out. */
export function withoutFaults(models: readonly EngineModel[]): readonly EngineModel[] {
  const faults = { http429: 0, http500: 0, inBandError: 0, truncated: 0 }
  return models.map((model) => ({ ...model, faults }))
}
