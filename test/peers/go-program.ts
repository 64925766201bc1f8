/** Programs in Go that are built on first use, and kept under .stack. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const CACHE = new URL('../../.stack/', import.meta.url).pathname

/**
 * The path of a program, which `build` puts into a folder when it is not there yet. Throws when it
 * cannot.
 */
export function goProgram(
  folder: string,
  name: string,
  build: (home: string, go: (args: readonly string[], cwd: string) => void) => void,
): string {
  const home = join(CACHE, folder)
  const path = join(home, name)
  if (existsSync(path)) return path
  console.log(`        building ${folder}: some minutes, once`)
  mkdirSync(home, { recursive: true })
  const env = { ...process.env, GOBIN: home, CGO_ENABLED: '0' }
  build(home, (args, cwd) => {
    const [command, ...rest] = args
    execFileSync(command!, rest, { cwd, env, stdio: 'inherit' })
  })
  return path
}

/** Takes away what was only needed to build. */
export function forget(...paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true })
}
