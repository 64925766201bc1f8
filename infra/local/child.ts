/**
 * Processes that this one owns. Each runs in its own process group, so that a Ctrl-C in the
 * terminal reaches only us and we end the parts in order; none outlives us, however we end.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { LensError } from '../../services/core/errors.ts'

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd?: string
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>
}

const GRACE_MS = 5000
const LOG_LINES = 15

const owned = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of owned) signalGroup(child, 'SIGKILL')
})

/** Starts a process whose output is appended to a log file. */
export function startChild(command: Command, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a')
  try {
    return own(command, ['ignore', log, log])
  } finally {
    closeSync(log)
  }
}

/**
 * Runs a program to its end; the result is what it printed. Throws LensError part_missing with
 * the last lines of the output when it fails; `purpose` says what could not be done.
 */
export async function runChild(
  command: Command,
  purpose: string,
  signal?: AbortSignal,
): Promise<string> {
  signal?.throwIfAborted()
  const child = own(command, ['ignore', 'pipe', 'pipe'])
  const abort = () => signalGroup(child, 'SIGKILL')
  signal?.addEventListener('abort', abort)
  let output = ''
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  child.stderr?.on('data', (chunk) => {
    output += chunk
  })
  const failure = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code) => resolve(code === 0 ? null : howEnded(child)))
  })
  signal?.removeEventListener('abort', abort)
  signal?.throwIfAborted()
  if (failure === null) return output
  throw new LensError(
    'part_missing',
    `could not ${purpose}: ${command.file} ${failure}\n${tail(output)}`,
    { retryable: true },
  )
}

/** Resolves when the process is gone: SIGTERM first, SIGKILL after 5 s. */
export async function endChild(child: ChildProcess): Promise<void> {
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), GRACE_MS)
  signalGroup(child, 'SIGTERM')
  await ended(child)
  clearTimeout(timer)
}

/** Resolves when the process is gone, at once when it already is. */
export function ended(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
}

/** Whether the process is gone or never began. */
export function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/** How a process ended, in words for a message. */
export function howEnded(child: ChildProcess): string {
  if (child.pid === undefined) return `could not be started (${child.spawnfile})`
  return child.signalCode ? `was ended by ${child.signalCode}` : `ended with code ${child.exitCode}`
}

/** Sends a signal to the process and all that it started. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || hasEnded(child)) return
  try {
    process.kill(-child.pid, constants.signals[signal])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The last lines of a log file, to be shown in a message. */
export function lastLines(logFile: string): string {
  return tail(readFileSync(logFile, 'utf8'))
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-LOG_LINES).join('\n')
}

function own(command: Command, stdio: ('ignore' | 'pipe' | number)[]): ChildProcess {
  const child = spawn(command.file, command.args, {
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    env: { ...process.env, ...command.env },
    stdio,
    detached: true,
  })
  child.once('error', () => owned.delete(child))
  if (child.pid === undefined) return child
  owned.add(child)
  child.once('exit', () => owned.delete(child))
  guard(child)
  return child
}

/**
 * A shell that waits on a pipe from us: when we are killed hard, the pipe closes and it kills the
 * child's group. It ends with the child.
 */
function guard(child: ChildProcess): void {
  const script = 'read -r line || kill -s KILL -- "-$0"'
  const shell = spawn('sh', ['-c', script, String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  shell.unref()
  child.once('exit', () => shell.stdin.end('ended\n'))
}
