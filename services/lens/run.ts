import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { LensError } from '../core/errors.ts'

const SERVICES = new URL('../', import.meta.url)

/** Runs `node services/NAME/main.ts` and ends with its exit code. */
export async function run([name = '--help', ...argv]: readonly string[]): Promise<void> {
  const names = readdirSync(SERVICES).filter(
    (folder) => folder !== 'lens' && existsSync(new URL(`${folder}/main.ts`, SERVICES)),
  )
  if (name === '--help') {
    process.stdout.write(
      `usage: npm run lens -- run SERVICE [options]\n\n  ${names.join('\n  ')}\n`,
    )
    return
  }
  if (!names.includes(name)) {
    const message = `there is no service ${name}; one of ${names.join(', ')}`
    throw new LensError('configuration_invalid', message)
  }
  const main = fileURLToPath(new URL(`${name}/main.ts`, SERVICES))
  const child = spawn(process.execPath, [main, ...argv], { stdio: 'inherit' })
  // A terminal sends Ctrl-C to the service too; a supervisor's SIGTERM reaches only this process.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const [code] = await once(child, 'exit')
  process.exitCode = (code as number | null) ?? 1
}
