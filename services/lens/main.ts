import { describe } from '../bus/service.ts'

/** The commands of `npm run lens -- COMMAND`; each is loaded when it is called. */
const COMMANDS: Readonly<
  Record<string, { readonly what: string; run(argv: string[]): Promise<void> }>
> = {
  audit: {
    what: 'audit [options]           prove that no record was lost or counted twice',
    run: async (argv) => (await import('./audit.ts')).audit(argv),
  },
  'dead-letters': {
    what: 'dead-letters VERB         list, show or replay what no stage could process',
    run: async (argv) => (await import('./dead-letters.ts')).deadLetters(argv),
  },
  export: {
    what: 'export --dataset NAME     rows of the lake as JSON, CSV, Protobuf, Arrow, ...',
    run: async (argv) => (await import('./export.ts')).exportRows(argv),
  },
  formats: {
    what: 'formats [options]         which format for what, measured on your own rows',
    run: async (argv) => (await import('./formats.ts')).formats(argv),
  },
  lake: {
    what: 'lake VERB                 verify, compact, expire; iceberg: the lake as tables',
    run: async (argv) => (await import('./lake.ts')).lake(argv),
  },
  replay: {
    what: 'replay --start TIME       recompute windows from the raw topic; also to backfill',
    run: async (argv) => (await import('./replay.ts')).replay(argv),
  },
  run: {
    what: 'run SERVICE [options]     one service: collector, windowing, statistics, ...',
    run: async (argv) => (await import('./run.ts')).run(argv),
  },
  tail: {
    what: 'tail TOPIC [options]      decoded records as they come',
    run: async (argv) => (await import('./tail.ts')).tail(argv),
  },
  triggers: {
    what: 'triggers VERB             check, test, backtest rules; list what fires',
    run: async (argv) => (await import('./triggers.ts')).triggers(argv),
  },
  topics: {
    what: 'topics [--check]          create the missing topics, or only say which they are',
    run: async (argv) => (await import('./topics.ts')).topics(argv),
  },
}

const HELP = `usage: npm run lens -- COMMAND [options]

${Object.values(COMMANDS)
  .map(({ what }) => `  ${what}`)
  .join('\n')}

Every command takes --help. Kafka and the registry come from KAFKA_BROKERS and SCHEMA_REGISTRY_URL.
examples:
  npm run lens -- topics --partitions 8
  npm run lens -- run windowing
  npm run lens -- tail lens.aggregates --from beginning --json
`

const [name = '--help', ...argv] = process.argv.slice(2)
const command = COMMANDS[name]
if (command) {
  await command.run(argv).catch((error) => {
    process.stderr.write(`${describe(error)}\n`)
    process.exit(1)
  })
} else {
  const known = name === '--help' || name === 'help'
  if (!known) process.stderr.write(`there is no command ${name}\n\n`)
  process.stdout.write(HELP)
  process.exit(known ? 0 : 2)
}
