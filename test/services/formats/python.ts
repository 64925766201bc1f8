import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const CACHE = new URL('../../../.stack/', import.meta.url).pathname
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024

/** Readers that we did not write, pinned: what they read today they shall read tomorrow. */
export const PYARROW = 'pyarrow==26.0.1'
export const DATAFUSION = 'datafusion==55.0.0'
export const MSGPACK = 'msgpack==1.1.2'
export const GRPC_TOOLS = 'grpcio-tools==1.76.0'
export const OTLP_PROTO = ['opentelemetry-proto==1.45.2', 'protobuf==6.33.6'] as const

/**
 * A Python that has these packages, each pinned as name==version, in a folder of its own under
 * .stack; installed once. Throws when there is no python3 or a package cannot be had: a test that
 * needs another reader must not pass without it.
 */
export async function pythonWith(packages: readonly string[]): Promise<string> {
  const loose = packages.filter((name) => !/^[\w.-]+==[\w.]+$/.test(name))
  if (loose.length > 0) throw new Error(`${loose.join(' ')}: pin it as name==version`)
  const hash = createHash('sha256')
    .update([...packages].sort().join('\n'))
    .digest('hex')
  const home = join(CACHE, `python-${hash.slice(0, 16)}`)
  const python = join(home, 'bin', 'python')
  if (existsSync(python)) return python
  await mkdir(CACHE, { recursive: true })
  const draft = join(CACHE, `python-draft-${randomUUID()}`)
  try {
    await need(
      'python3',
      ['-m', 'venv', draft],
      'this test needs python3 (3.10 or later) with venv',
    )
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--only-binary=:all:']
    await need(join(draft, 'bin', 'python'), [...pip, ...packages], 'pip could not install')
    // Another run may have been faster: then its folder is as good.
    await rename(draft, home).catch((error) => {
      if (!existsSync(python)) throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return python
}

async function need(command: string, args: readonly string[], why: string): Promise<void> {
  try {
    await run(command, args)
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    throw new Error(`${why}: ${stderr || message}`, { cause: error })
  }
}

/** What a script prints as JSON, given arguments. */
export async function runPython<T>(
  python: string,
  script: string,
  args: readonly string[],
): Promise<T> {
  const { stdout } = await run(python, ['-c', script, ...args], { maxBuffer: OUTPUT_BYTES_MAX })
  return JSON.parse(stdout) as T
}
