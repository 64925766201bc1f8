import { z } from 'zod'
import { commonOptions, configHelp, duration, loadConfig, toggle } from '../bus/config.ts'
import { LensError } from '../core/errors.ts'
import { DEFAULT_WINDOWS } from '../core/windows/hopping.ts'
import { DEFAULT_GROUPINGS, seriesOf } from '../core/windows/series.ts'
import { openKafkaPlatform } from './kafka-platform.ts'
import { groupingList, instant, seriesLabels } from './replay-options.ts'
import { isSettled, publishReplay, type Replayed, runReplay } from './replay-run.ts'
import type { ReplayedWindow, ReplayStatus } from './replay-windows.ts'

const SIZES_S = DEFAULT_WINDOWS.sizesMs.map((ms) => ms / 1000)

const options = z.object({
  ...commonOptions,
  size: z.coerce
    .number()
    .refine((size) => SIZES_S.includes(size), `is none of ${SIZES_S.join(', ')}`)
    .default(60)
    .describe(`length of the windows in seconds: ${SIZES_S.join(', ')}`),
  start: instant.describe('start of the window; needed'),
  until: instant.optional().describe('all windows that start before this; without it, one'),
  series: seriesLabels.optional().describe('only this series; {} is the fleet'),
  groupings: groupingList
    .prefault(DEFAULT_GROUPINGS.map((names) => names.join(',')).join(';'))
    .describe('as windowing has them'),
  hop: duration.prefault('1m').describe('as statistics has it'),
  future: duration.prefault('1m').describe('as windowing has it'),
  lateness: duration
    .prefault('2m')
    .describe('as statistics has it: younger windows stay as they are'),
  publish: toggle.describe('publish what differs or is missing; without it nothing is written'),
  json: toggle.describe('one JSON object per window'),
})

type ReplayConfig = z.infer<typeof options>

const USAGE = `Recomputes final results from the raw topics and compares them, byte for byte, with the latest
ones published. Reads all that the raw topics hold (24 h). Ends with 1 when a window is another.

usage: npm run lens -- replay --start TIME [options]
  npm run lens -- replay --size 60 --start 2026-11-24T12:00:00Z
  npm run lens -- replay --start 2026-11-24T12:00:00Z --series '{"model":"m"}'
  npm run lens -- replay --start 2026-11-24T12:00:00Z --until 2026-11-24T13:00:00Z
  npm run lens -- replay --size 300 --start 2026-11-24T12:00:00Z --publish

each window is
  identical       the same bytes
  differs         and in which fields, published -> recomputed: data that was too late, or a fault
  missing         the raw topics hold it, but it was not published
  not in raw      published, but the raw topics hold nothing of it
  not recomputed  of an __other__ series: what a cap has folded is not found again

--publish is the way to backfill: it publishes the recomputed result with the next revision where
it differs or is missing, and ends with 0 when all could be. Without it, this is a dry run that
writes nothing. Not published is
  - a window within --lateness of the latest result of any: statistics may still correct it;
  - anything, when the raw topic has lost records that may have been of these windows.
Triggers read revision 0 only; a missing window is published as that, and may fire rules.
Publish when no older events are being sent: statistics numbers its own corrections by itself.`

/** `lens replay`: sets the exit code to 1 when a window is not what the raw topic says. */
export async function replay(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) {
    process.stdout.write(configHelp(USAGE, options))
    return
  }
  const config = loadConfig(options, { env: process.env, argv })
  const plan = replayPlan(config)
  const platform = await openKafkaPlatform(config)
  try {
    const outcome = await runReplay(platform, plan)
    const show = config.json ? asJson : asLine
    for (const window of outcome.windows) process.stdout.write(`${show(window)}\n`)
    const publishable = publishableOf(outcome, config.lateness)
    if (config.publish) await publishReplay(platform, publishable)
    process.stderr.write(`${summary(outcome, publishable.length, config.publish)}\n`)
    const wrong = outcome.windows.filter(isWrong).length - (config.publish ? publishable.length : 0)
    if (wrong > 0 || outcome.windows.length === 0) process.exitCode = 1
  } finally {
    await platform.bus.close()
  }
}

function replayPlan(config: ReplayConfig) {
  const { size, start, hop, until = start + 1, series, groupings, future } = config
  if (start % hop !== 0) {
    const message = `--start: ${new Date(start).toISOString()} is not a multiple of the hop, ${hop} ms`
    throw new LensError('configuration_invalid', message)
  }
  const startsMs = []
  for (let ms = start; ms < until; ms += hop) startsMs.push(ms)
  if (startsMs.length === 0) {
    throw new LensError('configuration_invalid', '--until is not after --start')
  }
  const only = series ? seriesOf(series) : null
  return {
    sizeMs: size * 1000,
    startsMs,
    series: only,
    groupings: only ? [Object.keys(only.labels)] : groupings,
    futureMs: future,
  }
}

const WRONG: ReadonlySet<ReplayStatus> = new Set(['differs', 'missing', 'not in raw'])

function isWrong({ status }: ReplayedWindow): boolean {
  return WRONG.has(status)
}

/** The windows that --publish writes. */
export function publishableOf(outcome: Replayed, latenessMs: number): ReplayedWindow[] {
  if (outcome.isPartial) return []
  return outcome.windows.filter(
    (window) =>
      (window.status === 'differs' || window.status === 'missing') &&
      isSettled(window, outcome.closedMs, latenessMs),
  )
}

function summary(outcome: Replayed, publishable: number, isPublished: boolean): string {
  const { windows, isPartial } = outcome
  const counts = new Map<ReplayStatus, number>()
  for (const { status } of windows) counts.set(status, (counts.get(status) ?? 0) + 1)
  const parts = [...counts].map(([status, n]) => `${n} ${status}`)
  const lines = [`replay: ${windows.length === 0 ? 'no such window anywhere' : parts.join(', ')}`]
  const verb = isPublished ? 'published' : '--publish would publish'
  if (isPublished || publishable > 0) lines.push(`replay: ${verb} ${publishable}`)
  if (isPartial) {
    lines.push('replay: the raw topic has lost records that may be of these windows')
  }
  return lines.join('\n')
}

function asLine({ status, published, recomputed, fields }: ReplayedWindow): string {
  const { start, size_s, series } = (published ?? recomputed)!
  const where = `${new Date(start).toISOString()} ${size_s} s ${JSON.stringify(series)}`
  const revision = published ? ` revision ${published.revision}` : ''
  return `${where}${revision}: ${status}${fields.length > 0 ? `: ${fields.join(', ')}` : ''}`
}

function asJson({ status, published, recomputed, fields }: ReplayedWindow): string {
  const { series, size_s, start } = (published ?? recomputed)!
  const revision = published?.revision ?? null
  return JSON.stringify({ series, size_s, start, status, revision, fields, published, recomputed })
}
