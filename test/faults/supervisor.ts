/** Keeps service processes running, as Kubernetes would, and lets them be hurt. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const ROOT = new URL('../../', import.meta.url).pathname
const RESTART_MS = 500

export interface Supervised {
  readonly name: string
  /** All that its processes have said. */
  output(): string
  running(): boolean
  /** kill -9; it is started again. */
  kill(): Promise<void>
  /** SIGTERM, then started again. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>
  /** SIGSTOP, and SIGCONT after so long. */
  pause(ms: number): Promise<void>
  /** SIGTERM for good; its exit code. */
  stop(): Promise<number | null>
  /** How often it ended without being told to. */
  readonly ownEnds: number
}

/** Starts `services/SERVICE/main.ts` and starts it again whenever it ends. */
export function supervise(
  name: string,
  service: string,
  env: Readonly<Record<string, string>>,
  argv: readonly string[],
): Supervised {
  let output = ''
  let child: ChildProcess
  let wanted = true
  let expected = false
  let ownEnds = 0
  start({})

  function start(more: Readonly<Record<string, string>>): void {
    expected = false
    child = spawn(process.execPath, [`services/${service}/main.ts`, ...argv], {
      cwd: ROOT,
      env: { ...process.env, ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const keep = (bytes: Buffer) => {
      output += bytes.toString('utf8')
    }
    child.stdout!.on('data', keep)
    child.stderr!.on('data', keep)
    const own = child
    own.once('exit', (code, signal) => {
      output += `-- ${new Date().toISOString()} ended: ${signal ?? code}\n`
      if (!expected) ownEnds++
      if (wanted) setTimeout(() => wanted && own === child && start({}), RESTART_MS)
    })
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (!isAlive()) return child.exitCode
    expected = true
    const ended = once(child, 'exit')
    child.kill(signal)
    const [code] = await ended
    return code as number | null
  }

  function isAlive(): boolean {
    return child.exitCode === null && child.signalCode === null
  }

  return {
    name,
    output: () => output,
    running: isAlive,
    async kill() {
      await end('SIGKILL')
    },
    async restart(more = {}) {
      await end('SIGTERM')
      start(more)
    },
    async pause(ms) {
      const own = child
      own.kill('SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, ms))
      own.kill('SIGCONT')
    },
    async stop() {
      wanted = false
      return end('SIGTERM')
    },
    get ownEnds() {
      return ownEnds
    },
  }
}
