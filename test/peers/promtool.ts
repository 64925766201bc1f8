/**
 * npm run test:promtool: whether Prometheus, given our rules in its words and the gauges that our
 * windows would have been, fires and resolves when we do.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import type { Aggregate } from '../../schemas/records.ts'
import { createRandom } from '../../services/core/random.ts'
import { prometheusFamilies } from '../../services/formats/otlp.ts'
import { viewPoints } from '../../services/formats/otlp-views.ts'
import { labelName } from '../../services/formats/prometheus.ts'
import { prometheusAlerts } from '../../services/lens/triggers-prometheus.ts'
import { parseRules } from '../../services/triggers/rules-file.ts'
import { tryRules } from '../../services/triggers/try-rules.ts'
import { NOON_MS } from '../records.ts'
import { distribution, MINUTE_MS, windowEnding } from '../services/core/triggers/fixture.ts'
import { goProgram } from './go-program.ts'

const MODULE = 'github.com/prometheus/prometheus/cmd/promtool@v0.316.0'
const MINUTES = 60
const SEEDS = 5
const SLOW = 'window: 5m, when: { metric: e2e_us, stat: p95, above: 100ms }'
const RULES = `
rules:
  - { name: slow, ${SLOW} }
  - { name: slow-for, for: 2m, ${SLOW} }
  - { name: keeps, keepFiring: 3m, ${SLOW} }
  - { name: both, for: 1m, keepFiring: 2m, ${SLOW} }
  - name: failing
    window: 5m
    noData: ok
    when: { ratio: errors, of: requests, above: 5%, minCount: 450 }
  - { name: quiet, window: 5m, for: 1m, when: { rate: requests, below: 1.5/s } }
  - name: busy-and-slow
    window: 5m
    when:
      all:
        - { metric: e2e_us, stat: p99, above: 100ms, minCount: 50 }
        - { gauge: gpu_utilization, above: 90% }
  - name: any
    window: 5m
    when:
      any:
        - { metric: e2e_us, stat: p50, above: 100ms }
        - { gauge: gpu_utilization, stat: max, above: 98% }
`

/** A window a minute, each with all that the rules ask for. */
function windows(seed: number): Aggregate[] {
  const random = createRandom(seed)
  let [p, errors, requests, gpu] = [90_000, 10, 600, 0.8]
  return Array.from({ length: MINUTES }, (_, minute) => {
    if (random() < 0.3) p = 60_000 + Math.floor(random() * 80_000)
    if (random() < 0.3) errors = Math.floor(random() * 60)
    if (random() < 0.3) requests = 300 + Math.floor(random() * 600)
    if (random() < 0.3) gpu = 0.8 + random() / 5
    const e2e_us = distribution({ p50: p, p95: p, p99: p, count: requests - errors })
    const gauge = { count: 5, min: 0, max: gpu, mean: gpu - 0.02, last: gpu }
    const counts = { requests, errors: Math.min(errors, requests) }
    return windowEnding(minute, {
      ...counts,
      metrics: { e2e_us },
      gauges: { gpu_utilization: gauge },
    })
  })
}

/** The gauges of the windows as promtool takes series: one value a minute. */
function seriesOf(all: readonly Aggregate[]) {
  const values = new Map<string, string[]>()
  for (const [minute, window] of all.entries()) {
    for (const { name, points } of prometheusFamilies(viewPoints(window))) {
      for (const { attributes, value } of points) {
        const labels = Object.entries(attributes).map(([label, text]) => {
          return `${labelName(label)}=${JSON.stringify(text)}`
        })
        const series = `${name}{${labels.join(', ')}}`
        const own = values.get(series) ?? Array(minute).fill('_')
        values.set(series, own)
        own.push(String(value))
      }
    }
  }
  return [...values].map(([series, own]) => ({ series, values: own.join(' ') }))
}

describe('promtool', function () {
  this.timeout(1_800_000)
  const rules = parseRules(RULES, 'rules')
  const { alerts, notes } = prometheusAlerts(rules)
  let folder: string
  let promtool: string

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'lens-promtool-'))
    promtool = goProgram('promtool-0.316.0', 'promtool', (home, go) => {
      go(['go', 'install', MODULE], home)
    })
    const groups = [{ name: 'lens', interval: '1m', rules: alerts }]
    writeFileSync(join(folder, 'rules.yml'), stringify({ groups }))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('has words for all of them', () => {
    expect(notes).deep.equal([])
  })

  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`fires and resolves each when we do (seed ${seed})`, () => {
      const all = windows(seed)
      const events = tryRules(rules).give(all)
      expect(events.length).above(rules.length)
      const fires = (rule: string, minute: number) => {
        const atMs = NOON_MS + minute * MINUTE_MS
        return events.findLast((e) => e.rule === rule && e.window_end <= atMs)?.state === 'firing'
      }
      // A rate wants five minutes of ours, and its hold begins behind them.
      const minutes = Array.from({ length: MINUTES - 10 }, (_, i) => i + 10)
      const test = {
        interval: '1m',
        input_series: seriesOf(all),
        promql_expr_test: rules.flatMap(({ name }) =>
          minutes.map((minute) => ({
            expr: `count(ALERTS{alertname="${name}", alertstate="firing"}) or vector(0)`,
            eval_time: `${minute}m`,
            exp_samples: [{ labels: '{}', value: fires(name, minute) ? 1 : 0 }],
          })),
        ),
      }
      const path = join(folder, `test-${seed}.yml`)
      const file = { rule_files: ['rules.yml'], evaluation_interval: '1m', tests: [test] }
      writeFileSync(path, stringify(file))
      const run = () => execFileSync(promtool, ['test', 'rules', path], { encoding: 'utf8' })
      expect(run()).contain('SUCCESS')
    })
  }
})
