/** `npm run stack`: the real servers in the foreground, until Ctrl-C. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LensError } from '../../services/core/errors.ts'
import { ended, howEnded, runChild } from './child.ts'
import { removeFolder } from './data-folder.ts'
import { HELP, type Options, readOptions } from './options.ts'
import { type Stack, startStack } from './stack.ts'

const ROOT = join(import.meta.dirname, '../..')

try {
  const options = readOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(HELP)
  else await run(options)
} catch (error) {
  if (!(error instanceof LensError)) throw error
  log(error.message)
  process.exitCode = 1
}

/** Progress goes to stderr, so that stdout holds nothing but the export lines. */
function log(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function run(options: Options): Promise<void> {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => stop.abort())
  }
  try {
    await serve(options, stop.signal)
  } catch (error) {
    // After a fault the data stays, with the logs that explain it.
    if (!stop.signal.aborted) throw error
  }
  if (!options.keep) removeFolder(options.data)
  log(options.keep ? `stopped; the data is in ${options.data}` : 'stopped')
}

async function serve(options: Options, signal: AbortSignal): Promise<void> {
  const { parts, data: dataFolder } = options
  const stack = await startStack({ parts, dataFolder, log, signal })
  try {
    if (parts.includes('kafka')) await createTopics(stack.env, signal)
    const lines = Object.entries(stack.env).map(([name, value]) => `export ${name}=${value}\n`)
    process.stdout.write(lines.join(''))
    if (options.envFile !== null) writeFileSync(options.envFile, lines.join(''))
    log('running; Ctrl-C stops everything')
    await untilStopped(stack, signal)
  } finally {
    log('stopping ...')
    await stack.stop()
  }
}

async function createTopics(env: Stack['env'], signal: AbortSignal): Promise<void> {
  if (!env.SCHEMA_REGISTRY_URL && !process.env.SCHEMA_REGISTRY_URL) {
    log('no topics were created: their schemas need the part registry, or SCHEMA_REGISTRY_URL')
    return
  }
  const args = [join('services', 'lens', 'main.ts'), 'topics']
  const command = { file: process.execPath, args, cwd: ROOT, env }
  log((await runChild(command, 'create the topics', signal)).trimEnd())
}

/** Resolves at the signal; throws LensError part_missing when a part ends by itself. */
async function untilStopped(stack: Stack, signal: AbortSignal): Promise<void> {
  const stopped = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null)
    signal.addEventListener('abort', () => resolve(null))
  })
  const parts = Object.entries(stack.processes).map(async ([name, child]) => {
    await ended(child)
    return `${name} ${howEnded(child)}`
  })
  const fault = await Promise.race([stopped, ...parts])
  if (fault !== null) throw new LensError('part_missing', `${fault} by itself`)
}
