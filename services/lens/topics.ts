import { z } from 'zod'
import { TOPICS } from '../../schemas/topics.ts'
import { commonOptions, configHelp, loadConfig, toggle } from '../bus/config.ts'
import { createTopics, requireTopics } from '../bus/topics.ts'
import { openKafkaPlatform } from './kafka-platform.ts'

const positive = z.coerce.number().int().min(1)

const options = z.object({
  ...commonOptions,
  check: toggle.describe('create nothing: say what is missing, and end with 1'),
  partitions: positive.default(4).describe('partitions of each topic that is created'),
  replication: positive.default(1).describe('replicas of each; 3 in production'),
})

const USAGE = `Creates the topics of the system that are missing, and checks that all are there.

usage: npm run lens -- topics [options]
  npm run lens -- topics --partitions 16 --replication 3
  npm run lens -- topics --check`

/** `lens topics`: creates and checks the topics of the table; schemas are registered on the way. */
export async function topics(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) {
    process.stdout.write(configHelp(USAGE, options))
    return
  }
  const config = loadConfig(options, { env: process.env, argv })
  const { bus } = await openKafkaPlatform(config)
  try {
    const created = config.check ? [] : await createTopics(bus, config)
    await requireTopics(bus)
    const counts = await bus.partitionCounts(TOPICS.map((topic) => topic.name))
    for (const { name, key, cleanup } of TOPICS) {
      const state = created.includes(name) ? 'created' : 'ok     '
      process.stdout.write(
        `${state} ${name.padEnd(24)} ${counts[name]} partitions, ${cleanup}, key ${key}\n`,
      )
    }
  } finally {
    await bus.close()
  }
}
