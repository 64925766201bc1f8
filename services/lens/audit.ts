import { z } from 'zod'
import { commonOptions, configHelp, duration, loadConfig, toggle } from '../bus/config.ts'
import { LensError } from '../core/errors.ts'
import { DEFAULT_WINDOWS, windowPlanFault } from '../core/windows/hopping.ts'
import { openStore } from '../lake/store.ts'
import { auditJson, findingsHelp, renderAudit } from './audit-report.ts'
import { runAudit } from './audit-run.ts'
import { openKafkaPlatform } from './kafka-platform.ts'
import { instant, seriesLabels } from './replay-options.ts'

const options = z.object({
  ...commonOptions,
  since: instant.optional().describe('only ranges that were complete at this time or later'),
  until: instant.optional().describe('only ranges that were complete by this time'),
  series: seriesLabels
    .optional()
    .describe('whose windows are compared, {} is the fleet; all, by grouping, when left out'),
  hop: duration.prefault('1m').describe('as statistics has it'),
  lateness: duration.prefault('2m').describe('as statistics has it'),
  lake: z
    .string()
    .default('')
    .describe('the lake: a folder, file:///path or s3://bucket/prefix; empty = leave it out'),
  json: toggle.describe('one JSON object instead of the tables'),
})

const USAGE = `Proves over the offsets that windowing has committed that no record was lost or counted twice:
raw = counted + dead-lettered in every range of every partition, for every grouping; sum of slices =
results + too late in every window; and, with --lake, one row for each record. It reads, and changes
nothing; services may run meanwhile. Ends with 1 and the first discrepancy when there is one.

usage: npm run lens -- audit [options]
  npm run lens -- audit
  npm run lens -- audit --since 2026-11-24T12:00:00Z --lake data/lake
  npm run -s lens -- audit --json | jq .first

What the slices no longer hold (6 h) cannot be audited; --since and --until are times of append on
the broker and choose whole ranges: some 700 bytes are kept of each result in them.

A discrepancy is one of
${findingsHelp()}`

/** `lens audit`: sets the exit code to 1 when something does not add up. */
export async function audit(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) {
    process.stdout.write(configHelp(USAGE, options))
    return
  }
  const config = loadConfig(options, { env: process.env, argv })
  const windows = { sizesMs: DEFAULT_WINDOWS.sizesMs, hopMs: config.hop }
  const fault = windowPlanFault(windows)
  if (fault) throw new LensError('configuration_invalid', `--hop: ${fault}`)
  const plan = {
    ...windows,
    latenessMs: config.lateness,
    sinceMs: config.since ?? Number.NEGATIVE_INFINITY,
    untilMs: config.until ?? Number.POSITIVE_INFINITY,
    series: config.series ?? null,
    lake: config.lake === '' ? null : await openStore(config.lake, process.env),
  }
  const platform = await openKafkaPlatform(config)
  try {
    const result = await runAudit(platform, plan)
    const lines = config.json ? [JSON.stringify(auditJson(result))] : renderAudit(result)
    process.stdout.write(`${lines.join('\n')}\n`)
    if (result.findings.count() > 0) process.exitCode = 1
  } finally {
    await platform.bus.close()
  }
}
