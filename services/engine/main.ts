import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { configHelp, loadConfig } from '../bus/config.ts'
import { listen } from '../bus/listen.ts'
import { LensError } from '../core/errors.ts'
import { type EngineConfig, engineConfig, usage } from './config.ts'
import { type EngineModel, readModels, withoutFaults } from './models.ts'
import { createEngine, createEngineServer } from './server.ts'
import { openTruthFile, type TruthRecord } from './truth.ts'

/** For tests and for a process that runs the engine inside itself. */
export interface EngineHooks {
  /** Told at the end of each request, as the truth file is. */
  readonly onTruth?: (record: TruthRecord) => void
  /** In place of the table that the configuration names. */
  readonly models?: readonly EngineModel[]
}

/** Starts an engine; `stop`, to be called once, cuts what still streams and closes the truth. */
export async function startEngine(
  config: EngineConfig,
  hooks: EngineHooks = {},
): Promise<{ url: string; port: number; stop(): Promise<void> }> {
  const table = hooks.models ?? readModels(config.models)
  const models = config.faultless ? withoutFaults(table) : table
  const truth = config.truth === '' ? null : await openTruthFile(config.truth)
  const engine = createEngine(models, config.seed, (record) => {
    truth?.write(record)
    hooks.onTruth?.(record)
  })
  const server = createEngineServer(engine, config.requestTimeout)
  const url = await listen(server, config.host, config.port)
  const stop = async () => {
    const closed = once(server.close(), 'close')
    for (const exchange of engine.active) exchange.cut('engine_stopped')
    server.closeAllConnections()
    await closed
    await truth?.close()
  }
  return { url, port: (server.address() as AddressInfo).port, stop }
}

async function run(argv: readonly string[]): Promise<void> {
  const engine = await startEngine(loadConfig(engineConfig, { env: process.env, argv }))
  process.stdout.write(`engine listens on ${engine.url}\n`)
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  await engine.stop()
}

if (import.meta.main) {
  const argv = process.argv.slice(2)
  if (argv.includes('--help')) process.stdout.write(configHelp(usage, engineConfig))
  else {
    await run(argv).catch((error: unknown) => {
      if (!(error instanceof LensError)) throw error
      process.stderr.write(`${error.message}\n`)
      process.exitCode = 1
    })
  }
}
