import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { configHelp, duration, loadConfig, toggle } from '../bus/config.ts'
import { LensError } from '../core/errors.ts'
import { createRestCatalog } from '../lake/iceberg/catalog.ts'
import { createKnownLog } from '../lake/lake-log.ts'
import { openStore } from '../lake/store.ts'
import { table } from './audit-report.ts'
import { compactLake } from './lake-compact.ts'
import { expireLake } from './lake-expire.ts'
import { syncTables } from './lake-iceberg.ts'
import { lakeOption } from './lake-options.ts'
import { verifyLake } from './lake-verify.ts'

const VERIFY = z.object({
  ...lakeOption,
  json: toggle.describe('one JSON object instead of the table'),
})

const ICEBERG = z.object({
  ...lakeOption,
  catalog: z.string().meta({ env: 'ICEBERG_CATALOG_URL' }).describe('URL of a REST catalog'),
  warehouse: z.string().default('').meta({ env: 'ICEBERG_WAREHOUSE' }).describe('its warehouse'),
  namespace: z.string().default('latency_lens').describe('where its tables are'),
  credential: z
    .string()
    .default('')
    .meta({ env: 'ICEBERG_CREDENTIAL' })
    .describe('ID:SECRET for OAuth2 at the catalog'),
  token: z.string().default('').meta({ env: 'ICEBERG_TOKEN' }).describe('or a token'),
  oauthUrl: z
    .string()
    .default('')
    .meta({ env: 'ICEBERG_OAUTH_URL' })
    .describe('where tokens are given, if not at the catalog itself'),
  oauthScope: z
    .string()
    .default('catalog')
    .meta({ env: 'ICEBERG_OAUTH_SCOPE' })
    .describe('what a token is asked for; PRINCIPAL_ROLE:ALL at Polaris'),
  every: duration.prefault('0s').describe('does it again and again; 0s: once'),
  keepSnapshots: duration
    .prefault('24h')
    .describe('how far back readers can ask for what a table was'),
})

const EXPIRE = z.object({
  ...lakeOption,
  olderThan: duration.describe('hours of event time that ended so long ago, for example 720h'),
  yes: toggle.describe('remove; without it the command only says what it would remove'),
})

const COMPACT = z.object({
  ...lakeOption,
  closedFor: duration
    .prefault('2h')
    .describe('leaves hours alone that ended later than so long ago: they still get rows'),
  keep: duration
    .prefault('0s')
    .describe('how long what is replaced stays; with Iceberg, as long as --keep-snapshots'),
})

const USAGE = `Looks after the lake itself: no Kafka is needed.

usage: npm run lens -- lake verify [options]
       npm run lens -- lake compact [options]
       npm run lens -- lake iceberg --catalog URL [options]
       npm run lens -- lake expire --older-than TIME [options]

Each takes --help.
`

const VERIFY_USAGE = `Reads every file: the ranges of each partition must tile its log, each must have the files that
its marker names and no others, with the same bytes and as many rows, of its own offsets only, each
once. Ends with 1 when something is wrong. What is being written just now is not looked at.
Whether the rows are those of the topic: lens audit --lake.

usage: npm run lens -- lake verify [options]
  npm run lens -- lake verify --lake s3://lake/lens
  npm run -s lens -- lake verify --json | jq .faults`

const COMPACT_USAGE = `Writes the small files of hours that are over as few large ones, whose rows are sorted by tenant,
model and time (resource_samples: by name, endpoint and time), and removes the small ones. Run it
every hour or so; the exporter may run meanwhile, and so may another one of these. What is broken
off is done by the next. Until the small files are gone, a reader by pattern sees rows twice.

usage: npm run lens -- lake compact [options]
  npm run lens -- lake compact --lake s3://lake/lens
  npm run lens -- lake compact --closed-for 30m`

const ICEBERG_USAGE = `Makes the lake's files those of Iceberg tables, one for each dataset, through a REST catalog: what
has come since, and what compaction has replaced, in one commit with the offsets that it reaches
(property latency-lens.offsets). Each row is in a table once, whoever does this and however often.
The tables' metadata goes where the catalog says; nothing else may write to them.

usage: npm run lens -- lake iceberg --catalog URL [options]
  npm run lens -- lake iceberg --catalog http://127.0.0.1:8181 --warehouse s3://tables --every 1m
  ICEBERG_CREDENTIAL=id:secret npm run lens -- lake iceberg --catalog https://catalog.example.com`

const EXPIRE_USAGE = `Removes the files of hours that ended long ago, by event time, and the markers of ranges of which
nothing is left. Without --yes it only says what it would remove. It can be broken off and begun
again; the exporter may run meanwhile. lake verify knows what has expired.

usage: npm run lens -- lake expire --older-than TIME [options]
  npm run lens -- lake expire --older-than 720h
  npm run lens -- lake expire --older-than 720h --lake s3://lake/lens --yes`

type Verb = (argv: readonly string[]) => Promise<void>

const VERBS: Readonly<Record<string, Verb>> = { verify, compact, iceberg, expire }

/** `lens lake VERB`. */
export async function lake([name = '--help', ...argv]: readonly string[]): Promise<void> {
  if (name === '--help') return say([USAGE])
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined
  if (verb) return verb(argv)
  const known = Object.keys(VERBS).join(', ')
  throw new LensError('configuration_invalid', `there is no lake ${name}; one of ${known}`)
}

async function verify(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return say([configHelp(VERIFY_USAGE, VERIFY)])
  const config = loadConfig(VERIFY, { env: process.env, argv })
  const store = await openStore(config.lake, process.env)
  const { totals, leftOver, faults } = await verifyLake(store, log)
  say(
    config.json
      ? [JSON.stringify({ lake: store.describe, totals, leftOver, faults })]
      : [
          ...tableOf(totals),
          ...(leftOver === 0
            ? []
            : [`${leftOver} files of rows that are in others: lens lake compact`]),
          ...faults,
          `lake verify: ${faults.length || 'nothing'} wrong`,
        ],
  )
  if (faults.length > 0) process.exitCode = 1
}

async function compact(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return say([configHelp(COMPACT_USAGE, COMPACT)])
  const config = loadConfig(COMPACT, { env: process.env, argv })
  const store = await openStore(config.lake, process.env)
  const nowMs = Date.now()
  const times = { nowMs, closedMs: nowMs - config.closedFor, removeMs: nowMs - config.keep }
  const done = await compactLake(store, times, log)
  const { inputs, outputs, rows, bytesBefore, bytesAfter, removed } = done
  say([
    `${inputs} files of ${bytesBefore} bytes are ${outputs} of ${bytesAfter} bytes, ${rows} rows; removed ${removed} files`,
  ])
}

async function iceberg(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return say([configHelp(ICEBERG_USAGE, ICEBERG)])
  const { catalog: url, ...config } = loadConfig(ICEBERG, { env: process.env, argv })
  const store = await openStore(config.lake, process.env)
  const catalog = createRestCatalog({ ...config, url, now: Date.now })
  const open = (location: string) => openStore(location, process.env)
  const parts = { store, catalog, open, known: createKnownLog() }
  for (;;) {
    const nowMs = Date.now()
    const sync = syncTables({ ...parts, nowMs, keepSinceMs: nowMs - config.keepSnapshots }, log)
    if (config.every === 0) return sync
    await sync.catch((error: LensError) => {
      // An exporter that has just begun has no marker yet.
      const mayPass = error.retryable === true || /it has no range marker yet/.test(error.message)
      if (!mayPass) throw error
      log(`${error.message}; trying again`)
    })
    await setTimeout(Math.max(0, nowMs + config.every - Date.now()))
  }
}

async function expire(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return say([configHelp(EXPIRE_USAGE, EXPIRE)])
  const config = loadConfig(EXPIRE, { env: process.env, argv })
  const store = await openStore(config.lake, process.env)
  const beforeMs = Date.now() - config.olderThan
  const { files, markers, bytes } = await expireLake(store, beforeMs, config.yes, log)
  const what = `${files} files of ${bytes} bytes and ${markers} markers, of hours before ${new Date(beforeMs).toISOString()}`
  say([config.yes ? `removed ${what}` : `would remove ${what}; with --yes it does`])
}

function say(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}

function log(line: string): void {
  process.stderr.write(`${line}\n`)
}

function tableOf(totals: Awaited<ReturnType<typeof verifyLake>>['totals']): readonly string[] {
  const header = ['dataset', 'partition', 'offsets', 'ranges', 'files', 'rows', 'bytes']
  const rows = totals.map(({ dataset, topic, partition, from, to, ...counts }) => {
    const { ranges, files, rows, bytes } = counts
    if (partition === null) return [dataset, 'compacted', '', '', files, rows, bytes]
    return [dataset, `${topic}-${partition}`, `[${from}, ${to})`, ranges, files, rows, bytes]
  })
  return table(header, rows)
}
