import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { configHelp, loadConfig } from '../bus/config.ts'
import { LensError } from '../core/errors.ts'
import type { Dataset } from '../formats/column.ts'
import { DATASETS, datasetNamed } from '../formats/datasets.ts'
import { FORMAT_NAMES, type Format } from '../formats/format.ts'
import { formatNamed } from '../formats/formats.ts'
import { scanLake, type TimeSpan } from '../lake/scan.ts'
import { type ObjectStore, openStore } from '../lake/store.ts'
import { lakeOption, spanOf, spanOptions } from './lake-options.ts'

const options = z.object({
  dataset: z.enum(DATASETS.map(({ name }) => name)).describe('which rows'),
  ...lakeOption,
  ...spanOptions,
  format: z
    .enum(FORMAT_NAMES)
    .default('ndjson')
    .describe(`one of ${FORMAT_NAMES.join(', ')}`),
  out: z.string().default('-').describe('a file; - is standard output'),
})

const USAGE = `Writes rows of the lake in another format.

usage: npm run -s lens -- export --dataset NAME [options]
  npm run -s lens -- export --dataset requests --from 2026-11-24T12:00:00Z --format csv
  npm run -s lens -- export --dataset token_events --format protobuf --out events.binpb
  npm run -s lens -- export --dataset aggregates --lake s3://lake/lens | jq .ttft_us_p95

--from and --to are of event time, the second not included. Protobuf is messages of
schemas/proto/lake.proto, each behind its length. Only Parquet is held in memory until its end.
Which format for what: lens formats.`

/** `lens export`. */
export async function exportRows(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) {
    process.stdout.write(configHelp(USAGE, options))
    return
  }
  const config = loadConfig(options, { env: process.env, argv })
  const store = await openStore(config.lake, process.env)
  const format = formatNamed(config.format)
  if (config.out === '-' && process.stdout.isTTY && !format.isText) {
    const message = `${format.name} is nothing for a terminal: give --out FILE`
    throw new LensError('configuration_invalid', message)
  }
  const out = config.out === '-' ? process.stdout : createWriteStream(config.out)
  const rows = await write({ store, dataset: datasetNamed(config.dataset), format, out }, config)
  process.stderr.write(`${rows} rows of ${config.dataset} from ${store.describe}\n`)
}

interface Export {
  readonly store: ObjectStore
  readonly dataset: Dataset
  readonly format: Format
  readonly out: Writable
}

async function write(
  { store, dataset, format, out }: Export,
  config: Parameters<typeof spanOf>[0] & { readonly out: string },
): Promise<number> {
  const span: TimeSpan = spanOf(config)
  const writer = format.writer(dataset)
  let rows = 0
  async function* bytes() {
    for await (const part of scanLake(store, dataset, span)) {
      rows += part.length
      yield writer.add(part)
    }
    yield writer.end()
  }
  await pipeline(bytes, out).catch((error: NodeJS.ErrnoException) => {
    // Whoever reads it may have had enough: head does.
    if (error.code === 'EPIPE') return
    if (error instanceof LensError) throw error
    const message = `cannot write ${config.out}: ${error.message}`
    throw new LensError('configuration_invalid', message, { cause: error })
  })
  return rows
}
