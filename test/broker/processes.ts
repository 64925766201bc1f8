/** Real service processes, started and ended by id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const ROOT = new URL('../../', import.meta.url).pathname
const READY_MS = 30_000

/** What a pipeline is run as where more than one process of a service matters. */
export const SERVICES = [
  'windowing 1',
  'windowing 2',
  'statistics 1',
  'statistics 2',
  'triggers 1',
  'exporter 1',
]

export interface ServiceProcess {
  readonly child: ChildProcess
  /** What it has said so far. */
  output(): string
  /** Ends it and resolves to its exit code; null when a signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** Starts services/NAME/main.ts and resolves when it says that it is running. */
export async function startService(
  name: string,
  env: Readonly<Record<string, string>>,
  argv: readonly string[] = [],
): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [`services/${name}/main.ts`, ...argv], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (bytes: Buffer) => {
    output += bytes.toString('utf8')
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const deadline = Date.now() + READY_MS
  while (!output.includes(`${name}: running`)) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`${name} did not start:\n${output}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    child,
    output: () => output,
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      const exited = once(child, 'exit')
      child.kill(signal)
      const [code] = await exited
      return code as number | null
    },
  }
}
