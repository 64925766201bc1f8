import { z } from 'zod'
import { TOPICS } from '../../schemas/topics.ts'
import { commonOptions, configHelp, loadConfig, optionNames, toggle } from '../bus/config.ts'
import type { PlatformConfig } from '../bus/platform.ts'
import { DEAD_LETTER_DETAILS, type DeadLetterReason } from '../core/dead-letter.ts'
import { LensError } from '../core/errors.ts'
import { listDeadLetters } from './dead-letter-list.ts'
import { replayChoice, replayDeadLetters } from './dead-letter-replay.ts'
import { type Parts, parsePlace, type Write } from './dead-letter-scan.ts'
import { showDeadLetter } from './dead-letter-show.ts'
import { openKafkaPlatform } from './kafka-platform.ts'

const REASONS = Object.keys(DEAD_LETTER_DETAILS) as DeadLetterReason[]

const filterOptions = {
  topic: z
    .enum(TOPICS.map(({ name }) => name))
    .optional()
    .describe('only of records that came from this topic'),
  reason: z
    .enum(REASONS)
    .optional()
    .describe(`only of this reason: ${REASONS.join(', ')}`),
}

const LIST = z.object({
  ...commonOptions,
  ...filterOptions,
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe('show so many, the newest, 10000 at most; the totals are of all'),
  json: toggle.describe('one JSON object: letters, totals, count, repeats, unreadable'),
})

const SHOW = z.object({
  ...commonOptions,
  raw: toggle.describe('write the bytes of the value and nothing else'),
})

const REPLAY = z.object({
  ...commonOptions,
  ...filterOptions,
  all: toggle.describe('every dead letter that is there'),
  yes: toggle.describe('send; without it the command only says what it would send'),
  dryRun: toggle.describe('only say what would be sent, as without --yes'),
})

const USAGE = `Looks at the records that no stage could process, and sends them again.

usage: npm run lens -- dead-letters list [options]
       npm run lens -- dead-letters show TOPIC-PARTITION-OFFSET [--raw]
       npm run lens -- dead-letters replay TOPIC-PARTITION-OFFSET... [options]
       npm run lens -- dead-letters replay --reason R | --topic T | --all [options]

Each takes --help.
`

const LIST_USAGE = `Lists dead letters: where the record lay, which stage refused it, why, when it was appended, the
size of its value; then totals by reason. What a stage wrote twice (after a crash) is shown once.

usage: npm run lens -- dead-letters list [options]
  npm run lens -- dead-letters list --reason unknown_schema
  npm run lens -- dead-letters list --topic lens.token-events --limit 10
  npm run -s lens -- dead-letters list --json | jq .totals`

const SHOW_USAGE = `Shows all about one dead letter; of key and value the first 1024 bytes.

usage: npm run lens -- dead-letters show TOPIC-PARTITION-OFFSET [options]
  npm run lens -- dead-letters show lens.token-events-3-1041
  npm run -s lens -- dead-letters show lens.token-events-3-1041 --raw > value.bin`

const REPLAY_USAGE = `Appends key and value of dead letters, byte for byte, to the partition that they came from.
Without --yes it only says what it would send. Ends with 1 if something was refused or not found.

  - Nothing is deleted: the dead letter stays until its retention ends.
  - A record that is still bad comes back as a new dead letter, under its new offset.
  - A record that is good now is counted; replay it twice, and it is counted twice.
  - It keeps its event time: windows that are over do not take it, the lake does.
  - Refused: a value that the dead letter does not hold, or that its topic does not take.

usage: npm run lens -- dead-letters replay TOPIC-PARTITION-OFFSET... [options]
       npm run lens -- dead-letters replay --reason R | --topic T | --all [options]
  npm run lens -- dead-letters replay lens.token-events-3-1041 lens.token-events-0-7
  npm run lens -- dead-letters replay --reason unknown_schema --topic lens.token-events --yes`

type Verb = (argv: readonly string[]) => Promise<void>

const VERBS: Readonly<Record<string, Verb>> = { list, show, replay }

const write: Write = (output) => void process.stdout.write(output)

/** `lens dead-letters`: what could not be processed. */
export async function deadLetters([name = '--help', ...argv]: readonly string[]): Promise<void> {
  if (name === '--help') return write(USAGE)
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined
  if (verb) return verb(argv)
  const message = `dead-letters has no ${name}; one of ${Object.keys(VERBS).join(', ')}`
  throw new LensError('configuration_invalid', message)
}

async function list(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return write(configHelp(LIST_USAGE, LIST))
  const config = loadConfig(LIST, { env: process.env, argv })
  await onKafka(config, (parts) => listDeadLetters(parts, config, write))
}

async function show(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return write(configHelp(SHOW_USAGE, SHOW))
  const { places, flags } = splitArguments(argv, SHOW)
  const { raw, ...common } = loadConfig(SHOW, { env: process.env, argv: flags })
  if (places.length !== 1) {
    const message = `show takes one TOPIC-PARTITION-OFFSET, not ${places.length}; list shows them`
    throw new LensError('configuration_invalid', message)
  }
  const place = parsePlace(places[0]!)
  await onKafka(common, (parts) => showDeadLetter(parts, { place, raw }, write))
}

async function replay(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return write(configHelp(REPLAY_USAGE, REPLAY))
  const { places, flags } = splitArguments(argv, REPLAY)
  const config = loadConfig(REPLAY, { env: process.env, argv: flags })
  const choice = replayChoice({ ...config, places })
  await onKafka(config, async (parts) => {
    if (!(await replayDeadLetters(parts, choice, write))) process.exitCode = 1
  })
}

/** Places may stand anywhere between the flags and their values. */
function splitArguments(argv: readonly string[], options: z.ZodObject) {
  const names = Object.entries(options.shape).map(([key, type]) => ({
    flag: `--${optionNames(key, type as z.ZodType).flag}`,
    isToggle: (type as z.ZodType).meta()?.flag === 'boolean',
  }))
  const valued = new Set(names.filter(({ isToggle }) => !isToggle).map(({ flag }) => flag))
  const isPlace = (word: string, i: number) =>
    !word.startsWith('-') && !valued.has(argv[i - 1] ?? '')
  return {
    places: argv.filter(isPlace),
    flags: argv.filter((word, i) => !isPlace(word, i)),
  }
}

async function onKafka(
  config: PlatformConfig,
  work: (parts: Parts) => Promise<void>,
): Promise<void> {
  const platform = await openKafkaPlatform(config)
  try {
    await work(platform)
  } finally {
    await platform.bus.close()
  }
}
