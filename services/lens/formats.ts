import { z } from 'zod'
import { configHelp, loadConfig, toggle } from '../bus/config.ts'
import { LensError } from '../core/errors.ts'
import type { Cells } from '../formats/column.ts'
import { DATASETS, datasetNamed } from '../formats/datasets.ts'
import { FORMATS } from '../formats/formats.ts'
import { scanLake } from '../lake/scan.ts'
import { openStore } from '../lake/store.ts'
import { table } from './audit-report.ts'
import { measureFormat } from './format-measure.ts'
import { NEED_NAMES, NEEDS, recommend } from './format-needs.ts'
import { lakeOption, spanOf, spanOptions } from './lake-options.ts'

const options = z.object({
  dataset: z
    .enum(DATASETS.map(({ name }) => name))
    .default('requests')
    .describe('whose rows are written'),
  ...lakeOption,
  ...spanOptions,
  need: z
    .enum(NEED_NAMES)
    .optional()
    .describe(`one of ${NEED_NAMES.join(', ')}; all when left out`),
  rows: z.coerce.number().int().min(1).max(1_000_000).default(20_000).describe('rows, at most'),
  json: toggle.describe('one JSON object instead of the table'),
})

const USAGE = `Writes and reads your own rows in every format, and says which one is for what.

usage: npm run lens -- formats [options]
  npm run lens -- formats --dataset token_events --need streaming
  npm run -s lens -- formats --json | jq .recommended

${NEED_NAMES.map((name) => `  ${name.padEnd(10)} ${NEEDS[name].about}`).join('\n')}`

function yes(isSo: boolean): string {
  return isSo ? 'yes' : 'NO'
}

/** `lens formats`. */
export async function formats(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) {
    process.stdout.write(configHelp(USAGE, options))
    return
  }
  const config = loadConfig(options, { env: process.env, argv })
  const store = await openStore(config.lake, process.env)
  const dataset = datasetNamed(config.dataset)
  const rows: Cells[] = []
  for await (const part of scanLake(store, dataset, spanOf(config))) {
    for (const row of part.slice(0, config.rows - rows.length)) rows.push(row)
    if (rows.length === config.rows) break
  }
  if (rows.length === 0) {
    const message = `${store.describe} has no row of ${dataset.name} in that time; npm start makes some`
    throw new LensError('configuration_invalid', message)
  }
  const measured = FORMATS.map((format) => measureFormat(format, dataset, rows))
  const needs = config.need ? [config.need] : NEED_NAMES
  const recommended = needs.map((need) => ({ need, ...recommend(need, measured) }))
  if (config.json) {
    const plain = measured.map(({ format, ...rest }) => ({ format: format.name, ...rest }))
    const result = { dataset: dataset.name, rows: rows.length, measured: plain, recommended }
    process.stdout.write(`${JSON.stringify(result)}\n`)
    return
  }
  const lines = [
    `${rows.length} rows of ${dataset.name}`,
    '',
    ...table(
      ['format', 'bytes/row', 'zstd', 'write rows/s', 'read rows/s'],
      measured.map(({ format, bytesPerRow, zstdBytesPerRow, writeRowsPerS, readRowsPerS }) => [
        format.name,
        bytesPerRow.toFixed(0),
        zstdBytesPerRow.toFixed(0),
        writeRowsPerS.toFixed(0),
        readRowsPerS.toFixed(0),
      ]),
    ),
    '',
    'With a column more, a reader goes (tried with your rows)',
    ...measured.map(({ format: { name, evolution }, readsNewer, readsOlder }) => {
      const reads = `old reads new: ${yes(readsNewer)}, new reads old: ${yes(readsOlder)}`
      return `  ${name.padEnd(9)} ${evolution}; ${reads}`
    }),
    '',
    ...recommended.map(({ need, name, reasons }) => `${need}: ${name}: ${reasons.join('; ')}`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
