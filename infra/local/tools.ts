import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { LensError } from '../../services/core/errors.ts'
import type { Part } from './part.ts'

const run = promisify(execFile)

const JVM_FOLDERS = ['/usr/lib/jvm', '/Library/Java/JavaVirtualMachines']

const INSTALLERS = {
  maven: {
    test: () => works('mvn', ['--version']),
    advice: 'Maven, which downloads it (Debian: apt-get install maven)',
  },
  python: {
    test: () => works('python3', ['-c', 'import ensurepip, venv']),
    advice: 'Python 3 with venv and pip, which download it (Debian: apt-get install python3-venv)',
  },
}

/**
 * The newest Java of this machine, after checking that it can run the parts and that what fetches
 * the ones not yet `installed` is there. Throws LensError part_missing that lists every gap.
 */
export async function checkTools(
  parts: readonly Part[],
  installed: (part: Part) => boolean,
): Promise<string> {
  const java = parts.some((part) => part.javaMin > 0) ? await newestJava() : null
  const faults: string[] = []
  for (const part of parts) {
    if (part.javaMin > (java?.major ?? 0)) {
      const found = java ? `the newest found is ${java.major}` : 'none was found'
      const advice = `Java ${part.javaMin} or newer (a JDK, found by JAVA_HOME or PATH)`
      faults.push(`${part.title} needs ${advice}; ${found}`)
    }
    const installer = INSTALLERS[part.installer]
    if (!installed(part) && !(await installer.test())) {
      faults.push(`${part.title} needs ${installer.advice}`)
    }
  }
  if (faults.length === 0) return java?.file ?? ''
  throw new LensError('part_missing', faults.join('\n'))
}

async function newestJava(): Promise<{ file: string; major: number } | null> {
  const found = await Promise.all(javaPrograms().map(javaVersion))
  const works = found.filter((java) => java !== null)
  return works.sort((a, b) => b.major - a.major)[0] ?? null
}

function javaPrograms(): string[] {
  const homes = process.env.JAVA_HOME ? [process.env.JAVA_HOME] : []
  for (const folder of JVM_FOLDERS.filter(existsSync)) {
    for (const name of readdirSync(folder)) {
      homes.push(join(folder, name), join(folder, name, 'Contents', 'Home'))
    }
  }
  const folders = homes.map((home) => join(home, 'bin'))
  folders.push(...(process.env.PATH ?? '').split(delimiter))
  return [...new Set(folders)].map((folder) => join(folder, 'java')).filter(existsSync)
}

async function javaVersion(file: string): Promise<{ file: string; major: number } | null> {
  try {
    // Before Java 9 the version began with "1.".
    const { stderr } = await run(file, ['-version'])
    const major = /version "(?:1\.)?(\d+)/.exec(stderr)?.[1]
    return major === undefined ? null : { file, major: Number(major) }
  } catch {
    return null
  }
}

async function works(file: string, args: string[]): Promise<boolean> {
  try {
    await run(file, args)
    return true
  } catch {
    return false
  }
}
