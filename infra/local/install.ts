import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Part } from './part.ts'

/** Where the parts are kept from one run to the next. */
export const CACHE = join(import.meta.dirname, '../../.stack')

const PROGRESS_MS = 10_000

/** What is downloaded once, into a folder of its own in the cache. */
export type Installable = Pick<Part, 'title' | 'release' | 'install'>

/** Whether the part is in the cache. */
export function isInstalled(part: Installable): boolean {
  return existsSync(join(CACHE, part.release))
}

/**
 * The folder of an installed part, which is downloaded when the cache lacks it. It appears whole
 * or not at all; of two processes that install at once, the later one drops its copy.
 */
export async function installPart(
  part: Installable,
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<string> {
  const folder = join(CACHE, part.release)
  if (isInstalled(part)) return folder
  mkdirSync(CACHE, { recursive: true })
  const temporary = mkdtempSync(join(CACHE, `tmp-${part.release}-`))
  const discard = () => rmSync(temporary, { recursive: true, force: true })
  process.once('exit', discard)
  try {
    await withProgress(`downloading ${part.title}`, log, () => part.install(temporary, signal))
    keep(temporary, folder)
    return folder
  } finally {
    process.off('exit', discard)
    discard()
  }
}

function keep(temporary: string, folder: string): void {
  try {
    renameSync(temporary, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
  }
}

async function withProgress(
  what: string,
  log: (line: string) => void,
  work: () => Promise<void>,
): Promise<void> {
  const began = performance.now()
  const seconds = () => Math.round((performance.now() - began) / 1000)
  log(`${what} (once) ...`)
  const timer = setInterval(() => log(`${what} ... ${seconds()} s`), PROGRESS_MS)
  try {
    await work()
    log(`${what}: done in ${seconds()} s`)
  } finally {
    clearInterval(timer)
  }
}
