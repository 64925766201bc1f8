import type { Running } from '../bus/service.ts'
import { engineConfig } from '../engine/config.ts'
import { startEngine } from '../engine/main.ts'
import type { StandaloneConfig } from './config.ts'

/** The server behind the tap. */
export interface Upstream extends Running {
  readonly url: string
  readonly provider: string
  /** Label of the requests; empty = host:port. */
  readonly endpoint: string
  /** Pages of metrics to read, or empty. */
  readonly scrapeUrl: string
  readonly models: readonly { readonly name: string; readonly weight: number }[]
}

/** The mix that the simulated engine is asked for. */
const ENGINE_MODELS = [
  { name: 'tiny-chat', weight: 5 },
  { name: 'medium-chat', weight: 3 },
  { name: 'large-chat', weight: 2 },
]

/** The server that the user named, or the simulated engine. */
export async function openUpstream(config: StandaloneConfig): Promise<Upstream> {
  if (config.upstream) {
    const models = config.model ? [{ name: config.model, weight: 1 }] : []
    return {
      url: config.upstream,
      provider: '',
      endpoint: '',
      scrapeUrl: '',
      models,
      stop: async () => {},
    }
  }
  const engine = await startEngine(engineConfig.parse({ seed: config.seed }))
  return {
    url: engine.url,
    provider: 'engine',
    endpoint: 'engine-1',
    scrapeUrl: `${engine.url}/metrics`,
    models: ENGINE_MODELS,
    stop: () => engine.stop(),
  }
}
