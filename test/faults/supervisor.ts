/** Keeps service processes running, as Kubernetes would, and lets them be hurt. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const ROOT = new URL('../../', import.meta.url).pathname
const RESTART_MS = 500
/** Begins the line that tells of the end of a process. */
export const ENDED = '-- '
/** As Kubernetes: SIGTERM, and after so long SIGKILL. */
const GRACE_MS = 30_000

// None outlives us, stopped ones included.
const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

export interface Supervised {
  readonly name: string
  /** All that its processes have said. */
  output(): string
  /** Of the process of now; null while there is none. */
  pid(): number | null
  /** kill -9; it is started again. */
  kill(): Promise<void>
  /** SIGTERM, then started again. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>
  /** As restart, from now on with the code of this working tree. */
  upgrade(): Promise<void>
  /** SIGTERM; what is returned starts it again. */
  leave(): Promise<() => void>
  /** SIGSTOP, and SIGCONT after so long. */
  pause(ms: number): Promise<void>
  /** SIGTERM for good; its exit code. */
  stop(): Promise<number | null>
  /** How often it ended without being told to. */
  readonly ownEnds: number
  /** How often it killed itself, at a failpoint. */
  readonly failpoints: number
}

export interface ServiceCommand {
  readonly service: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Where the code is that it starts with; this working tree when left out. */
  readonly root?: string | undefined
}

/** Starts `services/SERVICE/main.ts` and starts it again whenever it ends. */
export function supervise(name: string, command: ServiceCommand): Supervised {
  const { service, argv, env } = command
  let root = command.root ?? ROOT
  let output = ''
  let child: ChildProcess
  let wanted = true
  let expected = false
  let away = false
  let ownEnds = 0
  let failpoints = 0
  start({})

  function start(more: Readonly<Record<string, string>>): void {
    expected = false
    child = spawn(process.execPath, [`services/${service}/main.ts`, ...argv], {
      cwd: root,
      env: { ...process.env, ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const keep = (bytes: Buffer) => {
      output += bytes.toString('utf8')
    }
    child.stdout!.on('data', keep)
    child.stderr!.on('data', keep)
    const own = child
    children.add(own)
    own.once('exit', (code, signal) => {
      children.delete(own)
      output += `${ENDED}${new Date().toISOString()} ended: ${signal ?? code}\n`
      if (!expected && signal === 'SIGKILL') failpoints++
      else if (!expected) ownEnds++
      if (wanted && !away) setTimeout(() => wanted && own === child && start({}), RESTART_MS)
    })
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (!isAlive()) return child.exitCode
    expected = true
    const ended = once(child, 'exit')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
    const [code] = await ended
    clearTimeout(timer)
    return code as number | null
  }

  function isAlive(): boolean {
    return child.exitCode === null && child.signalCode === null
  }

  async function restart(more: Readonly<Record<string, string>> = {}): Promise<void> {
    await end('SIGTERM')
    start(more)
  }

  return {
    name,
    output: () => output,
    pid: () => (isAlive() ? child.pid! : null),
    async kill() {
      await end('SIGKILL')
    },
    restart,
    upgrade() {
      root = ROOT
      return restart()
    },
    async leave() {
      away = true
      await end('SIGTERM')
      return () => {
        away = false
        if (wanted) start({})
      }
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
    get failpoints() {
      return failpoints
    },
  }
}
