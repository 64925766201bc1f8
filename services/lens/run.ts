import { existsSync, readdirSync } from 'node:fs'
import { LensError } from '../core/errors.ts'

const SERVICES = new URL('../', import.meta.url)

/** Starts the service in this process, as `node services/NAME/main.ts` would. */
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
  process.argv.splice(2, process.argv.length, ...argv)
  await import(new URL(`${name}/main.ts`, SERVICES).href)
}
