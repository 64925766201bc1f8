import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LensError } from '../../services/core/errors.ts'

const MARK = '.lens-stack'

/**
 * Makes a folder ours while we run. Throws LensError configuration_invalid when it holds other
 * things or belongs to a stack that still runs.
 */
export function claimFolder(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const mark = join(folder, MARK)
  if (!existsSync(mark) && readdirSync(folder).length > 0) {
    const advice = 'name an empty folder or one that an earlier stack kept'
    throw new LensError('configuration_invalid', `${folder} holds other files; ${advice}`)
  }
  const owner = existsSync(mark) ? Number(readFileSync(mark, 'utf8')) : 0
  if (owner > 0 && owner !== process.pid && isAlive(owner)) {
    const advice = `name another folder (if that process is no stack, delete ${mark})`
    const reason = `is in use by process ${owner}`
    throw new LensError('configuration_invalid', `the data folder ${folder} ${reason}; ${advice}`)
  }
  writeFileSync(mark, String(process.pid))
}

/** Lets the next stack use the folder and the data in it. */
export function releaseFolder(folder: string): void {
  if (existsSync(folder)) writeFileSync(join(folder, MARK), '0')
}

/** Removes a folder that is ours, with all data in it; leaves any other alone. */
export function removeFolder(folder: string): void {
  if (existsSync(join(folder, MARK))) rmSync(folder, { recursive: true, force: true })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
