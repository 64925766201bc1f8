import { createServer } from 'node:http'
import { z } from 'zod'
import { LensError } from '../core/errors.ts'
import { commonOptions, configHelp, loadConfig } from './config.ts'
import { createHealth, type StageHealth } from './health.ts'
import { openPlatform, type Platform } from './platform.ts'
import { runStage, type Stage, type StageSpec } from './run.ts'
import { startTelemetry } from './telemetry.ts'
import { requireTopics } from './topics.ts'

/** Options of every process that is a service. */
export const serviceOptions = {
  ...commonOptions,
  healthPort: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe('serve GET /healthz on this port; 0 = off'),
}

/** Something that runs until it is stopped. */
export interface Running {
  stop(): Promise<void>
}

const TICK_MS = 50

/** Runs a stage and lets time pass for it. */
export async function startStage<Effect>(
  spec: StageSpec<Effect>,
  { bus, codec, clock, log }: Platform,
  health: StageHealth,
  onFailure: (error: unknown) => void,
): Promise<Stage> {
  const stage = await runStage(spec, { bus, codec, clock, log, health, onFailure })
  const timer = setInterval(() => void stage.tick(), TICK_MS)
  return {
    ...stage,
    stop() {
      clearInterval(timer)
      return stage.stop()
    },
  }
}

export interface ServiceMain<Shape extends z.ZodRawShape> {
  readonly name: string
  /** The first lines of --help. */
  readonly usage: string
  readonly options: z.ZodObject<Shape>
  /** True for a process that creates the topics itself; others refuse to start without them. */
  readonly makesTopics?: boolean
  /** Where lines for a person go; standard error when left out. */
  readonly log?: (line: string) => void
  /** `end` ends the process: null in good order, anything else as a failure. */
  readonly start: (
    config: Readonly<z.infer<z.ZodObject<Shape>>>,
    platform: Platform,
    health: StageHealth,
    end: (failure: unknown) => void,
  ) => Promise<Running>
}

/**
 * The life of a service process: configuration, bus, health, then the service until SIGTERM or
 * SIGINT drains it (exit 0), or until it fails (exit 1). A second signal ends it at once.
 */
export async function runMain<Shape extends z.ZodRawShape>(
  main: ServiceMain<Shape>,
): Promise<void> {
  const argv = process.argv.slice(2)
  if (argv.includes('--help')) {
    process.stdout.write(configHelp(main.usage, main.options))
    return
  }
  const log = main.log ?? logLine
  try {
    const config = loadConfig(main.options, { env: process.env, argv })
    const common = config as unknown as z.infer<z.ZodObject<typeof serviceOptions>>
    const telemetry = await startTelemetry(main.name)
    const platform = await openPlatform(common, `lens-${main.name}`, log)
    if (common.kafkaBrokers && !main.makesTopics) await requireTopics(platform.bus)
    const ended = Promise.withResolvers<unknown>()
    const service = await main.start(config, platform, createHealth(main.name), ended.resolve)
    const healthServer = serveHealth(common.healthPort, ended.resolve)
    log(`${main.name}: running`)
    const failure = await Promise.race([ended.promise, signalled()])
    if (failure) logLine(`${main.name}: cannot go on: ${describe(failure)}`)
    else log(`${main.name}: draining`)
    healthServer?.close()
    const unfinished = await service.stop().then(
      () => null,
      (error: unknown) => error,
    )
    if (unfinished && unfinished !== failure) {
      logLine(`${main.name}: not all could be drained: ${describe(unfinished)}`)
    }
    await platform.bus.close()
    await telemetry.shutdown()
    process.exit(failure || unfinished ? 1 : 0)
  } catch (error) {
    logLine(`${main.name}: ${describe(error)}`)
    process.exit(1)
  }
}

/** One line to standard error, with the time. */
export function logLine(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`)
}

/** Resolves to null at the first signal; the second one ends the process. */
function signalled(): Promise<null> {
  return new Promise((resolve) => {
    let seen = 0
    const onSignal = () => {
      if (++seen > 1) process.exit(130)
      resolve(null)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

/** An operating error is its message; anything else is a bug and keeps its stack. */
export function describe(error: unknown): string {
  if (error instanceof LensError) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function serveHealth(port: number, end: (failure: unknown) => void) {
  if (port === 0) return null
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/healthz' ? 200 : 404).end()
  })
  server.on('error', end)
  return server.listen(port)
}
