import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { LensError } from '../../services/core/errors.ts'
import { CACHE } from './install.ts'
import type { PartName } from './part.ts'
import { PART_NAMES } from './stack.ts'

export interface Options {
  readonly help: boolean
  readonly keep: boolean
  readonly data: string
  readonly parts: readonly PartName[]
  readonly envFile: string | null
}

export const HELP = `usage: npm run stack -- [options]

Runs the real servers on this machine without Docker: Apache Kafka, a schema registry and an S3
store. The first run downloads them into .stack/ (about 360 MB). Ctrl-C stops everything.

options:
  --parts LIST       which of ${PART_NAMES.join(',')} to run [all]
  --data DIR         where the servers keep their data [.stack/data]
  --keep             keep the data on exit, so that the next run goes on with it
  --write-env FILE   also write the printed export lines to a file
  --help             this text

examples:
  npm run stack
  npm run stack -- --parts kafka,registry --keep
  npm run stack -- --write-env stack.env        then, in another terminal:
  source stack.env && node services/collector/main.ts
`

const FLAGS = {
  parts: { type: 'string', default: PART_NAMES.join(',') },
  data: { type: 'string', default: join(CACHE, 'data') },
  keep: { type: 'boolean', default: false },
  'write-env': { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

/** Reads the command line. Throws LensError configuration_invalid on what it does not know. */
export function readOptions(argv: readonly string[]): Options {
  const values = parse(argv)
  const names = values.parts.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => !PART_NAMES.includes(name as PartName))
  if (unknown.length > 0) {
    const message = `--parts: unknown ${unknown.join(', ') || '(empty)'}; allowed: ${PART_NAMES}`
    throw new LensError('configuration_invalid', message)
  }
  return {
    help: values.help,
    keep: values.keep,
    data: resolve(values.data),
    parts: names as PartName[],
    envFile: values['write-env'] ?? null,
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS }).values
  } catch (error) {
    const message = `${(error as Error).message}; --help lists the options`
    throw new LensError('configuration_invalid', message, { cause: error })
  }
}
