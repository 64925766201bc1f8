import { z } from 'zod'
import { configHelp, loadConfig, toggle } from '../bus/config.ts'
import { LensError } from '../core/errors.ts'
import { openStore } from '../lake/store.ts'
import { table } from './audit-report.ts'
import { lakeOption } from './lake-options.ts'
import { verifyLake } from './lake-verify.ts'

const VERIFY = z.object({
  ...lakeOption,
  json: toggle.describe('one JSON object instead of the table'),
})

const USAGE = `Looks at the lake itself: no Kafka is needed.

usage: npm run lens -- lake verify [options]
  npm run lens -- lake verify --lake s3://lake/lens
  npm run -s lens -- lake verify --json | jq .faults

verify reads every file: the ranges of each partition must tile its log, each must have the files
that its marker names and no others, with the same bytes and as many rows, of its own offsets only,
each once. Ends with 1 when something is wrong. What is being written just now is not looked at.
Whether the rows are those of the topic: lens audit --lake.`

/** `lens lake VERB`. */
export async function lake([verb, ...argv]: readonly string[]): Promise<void> {
  if (verb === undefined || verb === '--help' || argv.includes('--help')) {
    process.stdout.write(configHelp(USAGE, VERIFY))
    return
  }
  if (verb !== 'verify') {
    throw new LensError('configuration_invalid', `there is no lake ${verb}; only lake verify`)
  }
  const config = loadConfig(VERIFY, { env: process.env, argv })
  const store = await openStore(config.lake, process.env)
  const log = (line: string) => void process.stderr.write(`${line}\n`)
  const { totals, faults } = await verifyLake(store, log)
  const lines = config.json
    ? [JSON.stringify({ lake: store.describe, totals, faults })]
    : [...tableOf(totals), ...faults, `lake verify: ${faults.length || 'nothing'} wrong`]
  process.stdout.write(`${lines.join('\n')}\n`)
  if (faults.length > 0) process.exitCode = 1
}

function tableOf(totals: Awaited<ReturnType<typeof verifyLake>>['totals']): readonly string[] {
  const header = ['dataset', 'partition', 'offsets', 'ranges', 'files', 'rows', 'bytes']
  const rows = totals.map(({ dataset, topic, partition, from, to, ...counts }) => {
    const { ranges, files, rows, bytes } = counts
    return [dataset, `${topic}-${partition}`, `[${from}, ${to})`, ranges, files, rows, bytes]
  })
  return table(header, rows)
}
