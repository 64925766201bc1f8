import { readFileSync } from 'node:fs'
import { stringify } from 'yaml'
import { z } from 'zod'
import type { TriggerEvent } from '../../schemas/records.ts'
import { commonOptions, configHelp, loadConfig, toggle } from '../bus/config.ts'
import { LensError } from '../core/errors.ts'
import { describeCondition } from '../core/triggers/rule.ts'
import { openStore } from '../lake/store.ts'
import { parseRulesFile } from '../triggers/rules-file.ts'
import { table } from './audit-report.ts'
import { openKafkaPlatform } from './kafka-platform.ts'
import { lakeOption, spanOf, spanOptions } from './lake-options.ts'
import { backtest, sumUp } from './triggers-backtest.ts'
import { episodeRow, listEpisodes } from './triggers-list.ts'
import { prometheusAlerts } from './triggers-prometheus.ts'
import { ruleTests, runRuleTest } from './triggers-test.ts'

const BACKTEST = z.object({
  ...lakeOption,
  ...spanOptions,
  json: toggle.describe('the events, one JSON object a line, instead of the table'),
})

const LIST = z.object({
  ...commonOptions,
  all: toggle.describe('also what is inactive, as far as it is kept'),
  json: toggle.describe('one JSON object a line'),
})

const USAGE = `Tries rules without a service and without Kafka, and says where the service has them.

usage: npm run lens -- triggers check FILE
       npm run lens -- triggers test FILE
       npm run lens -- triggers backtest FILE [options]
       npm run lens -- triggers prometheus FILE
       npm run lens -- triggers list [options]
  npm run lens -- triggers check my-rules.yaml

check       reads a file of rules as the service does, and says each in words
test        runs the tests of the file: windows given, events expected (docs/triggers.md)
backtest    what the rules would have fired on the windows of a lake; takes --help
prometheus  the rules as alerts on the exporter's gauges, as far as Prometheus can say them
list        what fires, recovers or is pending now, for which series and since when; takes --help
`

const LIST_USAGE = `What fires, recovers or is pending by lens.trigger-state: since when its condition has held, when
it fired last, and up to which window's end it was evaluated when that was kept.

usage: npm run lens -- triggers list [options]
  npm run -s lens -- triggers list --json | jq 'select(.state == "firing")'`

const BACKTEST_USAGE = `What the rules of a file would have fired on the final windows of a lake, with no state before.

usage: npm run lens -- triggers backtest FILE [options]
  npm run lens -- triggers backtest my-rules.yaml --from 2026-11-24T00:00:00Z
  npm run -s lens -- triggers backtest my-rules.yaml --lake s3://lake/lens --json | jq .trigger_id`

type Verb = (file: string, argv: readonly string[]) => void | Promise<void>

const VERBS: Readonly<Record<string, Verb>> = { check, test, backtest: backtestFile, prometheus }

/** `lens triggers VERB FILE`. */
export async function triggers([name = '--help', ...argv]: readonly string[]): Promise<void> {
  if (name === '--help') return say([USAGE.trimEnd()])
  if (name === 'list') return list(argv)
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined
  if (!verb) {
    const known = [...Object.keys(VERBS), 'list'].join(', ')
    throw new LensError('configuration_invalid', `there is no triggers ${name}; one of ${known}`)
  }
  if (argv.includes('--help')) {
    return say([name === 'backtest' ? configHelp(BACKTEST_USAGE, BACKTEST) : USAGE.trimEnd()])
  }
  const [file, ...options] = argv
  if (file === undefined || file.startsWith('--')) {
    const message = `give a file of rules: npm run lens -- triggers ${name} FILE`
    throw new LensError('configuration_invalid', message)
  }
  await verb(file, options)
}

function read(file: string) {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new LensError('rules_invalid', `${file}: ${(cause as Error).message}`, { cause })
  }
  return parseRulesFile(text, file, ruleTests)
}

function check(file: string): void {
  const { rules } = read(file)
  const rows = rules.map(({ name, severity, groupBy, windowMs, when, ...rule }) => {
    const times = [rule.forMs, rule.keepFiringMs, rule.cooldownMs].map(minutes)
    return [name, severity, groupBy.join(','), minutes(windowMs), ...times, describeCondition(when)]
  })
  say(table(['rule', 'severity', 'of each', 'window', 'for', 'keep', 'cooldown', 'when'], rows))
}

function test(file: string): void {
  const { rules, tests } = read(file)
  const said = tests.map((one) => {
    const faults = runRuleTest(rules, one)
    if (faults.length > 0) process.exitCode = 1
    return [
      `${faults.length === 0 ? 'ok' : 'FAILED'}  ${one.name}`,
      ...faults.map((why) => `        ${why}`),
    ]
  })
  if (tests.length === 0) throw new LensError('rules_invalid', `${file} has no tests`)
  say(said.flat())
}

async function backtestFile(file: string, argv: readonly string[]): Promise<void> {
  const config = loadConfig(BACKTEST, { env: process.env, argv })
  const { rules } = read(file)
  const store = await openStore(config.lake, process.env)
  const events: TriggerEvent[] = []
  const progress = { endMs: 0 }
  for await (const event of backtest(store, rules, spanOf(config), progress, log)) {
    if (config.json) say([JSON.stringify(event)])
    else events.push(event)
  }
  if (config.json) return
  const rows = sumUp(events, progress.endMs).map(
    ({ rule, series, times, heldMs, longestMs, first, lastEnd }) => {
      return [rule, series, times, minutes(heldMs), minutes(longestMs), first, lastEnd ?? 'fires']
    },
  )
  say(table(['rule', 'series', 'fired', 'held', 'longest', 'first', 'resolved'], rows))
}

function prometheus(file: string): void {
  const { alerts, notes } = prometheusAlerts(read(file).rules)
  for (const note of notes) log(note)
  say([stringify({ groups: [{ name: 'latency-lens', rules: alerts }] }).trimEnd()])
}

async function list(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help')) return say([configHelp(LIST_USAGE, LIST)])
  const config = loadConfig(LIST, { env: process.env, argv })
  const platform = await openKafkaPlatform(config)
  try {
    const all = await listEpisodes(platform.bus, platform.codec)
    const shown = config.all ? all : all.filter(({ state }) => state !== 'inactive')
    if (config.json) return say(shown.map((episode) => JSON.stringify(episode)))
    const header = ['rule', 'series', 'state', 'since', 'fired', 'evaluated']
    say(shown.length === 0 ? ['nothing fires'] : table(header, shown.map(episodeRow)))
  } finally {
    await platform.bus.close()
  }
}

function minutes(ms: number): string {
  return `${ms / 60_000}m`
}

function say(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}

function log(line: string): void {
  process.stderr.write(`${line}\n`)
}
