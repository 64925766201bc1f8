import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Aggregate, RuleEpisode, TriggerEvent } from '../../../schemas/records.ts'
import { AGGREGATES, TRIGGER_STATE } from '../../../schemas/topics.ts'
import { systemClock } from '../../../services/bus/clock.ts'
import { createCodec, readSchemas } from '../../../services/bus/codec.ts'
import { createMemoryBus } from '../../../services/bus/memory.ts'
import { createFileRegistry } from '../../../services/bus/registry.ts'
import { createTopics } from '../../../services/bus/topics.ts'
import { createEpisode } from '../../../services/core/triggers/episode.ts'
import { AGGREGATE_ROWS, aggregateOf } from '../../../services/formats/aggregates-dataset.ts'
import { type Cells, cellsOf } from '../../../services/formats/column.ts'
import { createFileStore } from '../../../services/lake/file-store.ts'
import { lakePath } from '../../../services/lake/lake-path.ts'
import { backtest, sumUp } from '../../../services/lens/triggers-backtest.ts'
import { episodeRow, listEpisodes } from '../../../services/lens/triggers-list.ts'
import { prometheusAlerts } from '../../../services/lens/triggers-prometheus.ts'
import { ruleTests, runRuleTest } from '../../../services/lens/triggers-test.ts'
import { parseRulesFile } from '../../../services/triggers/rules-file.ts'
import { tryRules } from '../../../services/triggers/try-rules.ts'
import { NOON_MS } from '../../records.ts'
import { distribution, MINUTE_MS, rule, windowEnding, windows } from '../core/triggers/fixture.ts'
import { bytesOf } from '../exporter/lake-log.ts'

const ALWAYS = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY }
const RULES = `
rules:
  - name: slow
    window: 5m
    when: { metric: e2e_us, stat: p95, above: 200ms, clearBelow: 150ms }
    for: 1m
  - name: idle
    window: 1m
    groupBy: []
    when: { rate: requests, below: 1/s }
`

function faultsOf(test: string): readonly string[] {
  const { rules, tests } = parseRulesFile(`${RULES}tests:\n${test}`, 'r.yaml', ruleTests)
  return runRuleTest(rules, tests[0]!)
}

describe('lens triggers test', () => {
  const slow = '    windows: [{ metrics: { e2e_us: { p95: 250ms } }, times: 2 }'
  const low = '{ metrics: { e2e_us: { p95: 100ms } } }]'

  it('takes what comes as it is expected', () => {
    const expected = '    expect: [{ at: 1m, state: firing }, { at: 2m, state: resolved }]'
    expect(faultsOf(`  - name: t\n    rule: slow\n${slow}, ${low}\n${expected}`)).to.deep.equal([])
  })

  it('names what did not come, and what came and was not expected', () => {
    const expected = '    expect: [{ at: 2m, state: firing }]'
    expect(faultsOf(`  - name: t\n    rule: slow\n${slow}]\n${expected}`)).to.deep.equal([
      'did not come: slow firing at 2m',
      'came: slow firing at 1m',
    ])
    const twice = '    expect: [{ at: 1m, state: firing }, { at: 1m, state: firing }]'
    expect(faultsOf(`  - name: t\n    rule: slow\n${slow}]\n${twice}`)).to.deep.equal([
      'did not come: slow firing at 1m',
    ])
    const typo = '    series: { modle: llama }\n    windows: [{}]'
    expect(faultsOf(`  - name: t\n    rule: slow\n${typo}`)).to.deep.equal([
      'series: no rule of it is grouped by modle',
    ])
    expect(faultsOf('  - name: t\n    rule: other\n    windows: [{}]')).to.deep.equal([
      'there is no rule other',
    ])
  })

  it('has windows that are not there, too few samples, counts and every rule of the file', () => {
    const some = '{ requests: 600 }, { requests: 6 }, { none: true }, { requests: 6 }'
    const few = '{ metrics: { e2e_us: { p95: 9s, count: 99 } }, requests: 600, times: 3 }'
    const expected =
      '{ rule: idle, at: 1m, state: firing }, { rule: idle, at: 4m, state: resolved }'
    expect(
      faultsOf(`  - name: t\n    windows: [${some}, ${few}]\n    expect: [${expected}]`),
    ).to.deep.equal([])
  })

  it('tells silence of a series from that of all', () => {
    const dead = RULES.replace('groupBy: []', 'groupBy: [model]\n    for: 1m')
    const test = (more: string) =>
      parseRulesFile(
        `${dead}tests:\n  - name: t\n    rule: idle\n    windows: [{ requests: 600, times: 3 }, { none: true, times: 3 }]\n${more}`,
        'r.yaml',
        ruleTests,
      )
    const { rules, tests } = test('    expect: [{ at: 4m, state: firing }]')
    expect(runRuleTest(rules, tests[0]!)).to.deep.equal([])
    const fleet = '    windows: [{ requests: 600 }, { none: true, times: 9 }]'
    expect(faultsOf(`  - name: t\n    rule: idle\n${fleet}`)).to.deep.equal([])
  })

  it('says where a test cannot be read', () => {
    const read = () => faultsOf('  - name: t\n    windows: [{ request: 1 }]')
    expect(read).to.throw('r.yaml:13: tests.0.windows.0: Unrecognized key: "request"')
  })

  it('runs the tests of the rules that ship as an example', async () => {
    const path = new URL('../../../docs/examples/rules.yaml', import.meta.url)
    const { rules, tests } = parseRulesFile(await readFile(path, 'utf8'), 'rules.yaml', ruleTests)
    expect(tests.length).to.be.at.least(3)
    for (const test of tests) expect(runRuleTest(rules, test), test.name).to.deep.equal([])
  })
})

describe('lens triggers prometheus', () => {
  it('says a rule in the words of Prometheus, and what it has none for', () => {
    const text = `
rules:
  - name: both
    groupBy: [endpoint, team.a]
    series: { endpoint: e-1 }
    window: 15m
    severity: critical
    for: 2m
    keepFiring: 3m
    cooldown: 1h
    when:
      any:
        - { metric: ttft_us, stat: p95, above: 2s }
        - { ratio: errors, of: requests, above: 5%, minCount: 1 }
        - { gauge: gpu_utilization, above: 90% }
  - { name: a, window: 1m, when: { rate: requests, below: 1/s } }
  - { name: b, window: 5m, when: { metric: ttft_us, stat: p999, above: 1s } }
  - { name: c, window: 5m, when: { not: { rate: requests, below: 1/s } } }
  - { name: d, window: 5m, when: { rate: errors, above: 1/s } }
  - { name: e, window: 5m, when: { gauge: g, stat: last, above: 1 } }
  - { name: f, window: 5m, noData: breach, when: { gauge: g, above: 1 } }
  - { name: g, window: 5m, when: { gauge: g, above: 1, clearBelow: 0.5 } }
  - { name: h, window: 5m, when: { ratio: cancelled, of: requests, above: 1% } }
`
    const { alerts, notes } = prometheusAlerts(parseRulesFile(text, 'r.yaml', ruleTests).rules)
    const own = 'grouping="endpoint,team.a", window="15m", latency_lens_endpoint="e-1"'
    const on = 'or on (latency_lens_endpoint, latency_lens_team_a)'
    const expr = [
      `(latency_lens_view_ttft_seconds{${own}, quantile="0.95"} > 2`,
      'and on (latency_lens_endpoint, latency_lens_team_a)',
      `latency_lens_view_observations{${own}, measure="ttft_us"} >= 100)`,
      `${on} (latency_lens_view_errors_ratio{${own}} > 0.05)`,
      `${on} (latency_lens_view_resource{${own}, name="gpu_utilization", stat="mean"} > 0.9)`,
    ].join(' ')
    expect(alerts).to.have.length(1)
    expect(alerts[0]).to.deep.include({ alert: 'both', for: '120s', keep_firing_for: '180s', expr })
    expect(notes).to.deep.equal([
      'both: without its cooldown',
      'a is left out: no gauge is of one minute',
      'b is left out: no gauge has p999',
      'c is left out: the opposite of a condition is no series',
      'd is left out: no gauge has the rate of errors',
      'e is left out: no gauge has the last of g',
      'f is left out: a series that is not there breaches nothing',
      'g is left out: it knows no thresholds to leave',
      'h is left out: no gauge has cancelled of requests',
    ])
  })
})

describe('lens triggers list', () => {
  it('says where each rule stands for each series, as the one that has come furthest knows', async () => {
    const codec = await createCodec(createFileRegistry(readSchemas()), Date.now)
    const bus = createMemoryBus({ clock: systemClock, automatic: true })
    await createTopics(bus, { partitions: 2, replication: 1 })
    const sink = await bus.sink()
    const states = ['inactive', 'firing', 'pending', 'recovering'] as const
    for (const [i, state] of [...states, 'inactive' as const].entries()) {
      const series = `{"model":"m-${i % 4}"}`
      const episode: RuleEpisode = {
        ...createEpisode(rule(), series),
        ...{ state, since: NOON_MS, evaluated_through: NOON_MS + (i === 4 ? 0 : i + 1) },
      }
      const value = codec.encode(TRIGGER_STATE, episode)
      await sink.append(TRIGGER_STATE, i % 2, [{ key: series, value }])
    }
    await sink.append(TRIGGER_STATE, 0, [{ key: null, value: Buffer.from('no avro') }])
    const all = await listEpisodes(bus, codec)
    expect(all.map(({ state, series }) => `${state} ${series}`)).to.deep.equal([
      'firing {"model":"m-1"}',
      'recovering {"model":"m-3"}',
      'pending {"model":"m-2"}',
      'inactive {"model":"m-0"}',
    ])
    expect(episodeRow(all[0]!)).to.deep.equal([
      ...['e2e-p95-high', '{"model":"m-1"}', 'firing', '2026-11-24T12:00:00.000Z', '-'],
      '2026-11-24T12:00:00.002Z',
    ])
    await bus.close()
  })
})

describe('lens triggers backtest', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lens-backtest-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** A lake with these windows, in files as the exporter makes them. */
  async function lakeOf(all: readonly Aggregate[]) {
    const store = createFileStore(folder)
    const files = new Map<string, Cells[]>()
    const place = { dataset: 'aggregates', topic: AGGREGATES, partition: 0, from: 0 }
    for (const [offset, record] of all.entries()) {
      const row = cellsOf(AGGREGATE_ROWS.columns, { partition: 0, offset, record })
      const path = lakePath(place, record.start * 1000)!
      files.set(path, [...(files.get(path) ?? []), (row as { cells: Cells }).cells])
    }
    const range = { topic: AGGREGATES, partition: 0, from: 0, to: all.length }
    for (const [path, rows] of files) {
      await store.create(path, bytesOf({ path, dataset: 'aggregates', rows }, range))
    }
    return store
  }

  async function fired(all: readonly Aggregate[], span = ALWAYS): Promise<TriggerEvent[]> {
    const store = await lakeOf(all)
    const events: TriggerEvent[] = []
    const progress = { endMs: 0 }
    for await (const event of backtest(store, [SLOW], span, progress, () => {})) events.push(event)
    expect(progress.endMs).to.equal(all.at(-1)!.end)
    return events
  }

  const SLOW = rule({ forMs: MINUTE_MS, cooldownMs: 3 * MINUTE_MS })
  /** Two hours, so that files end in the midst of what fires. */
  const LOG = windows(`${'+-+++-?+'.repeat(14)}++++++++`)

  it('fires what the service would have fired, however the log lies in files', async () => {
    const wanted = tryRules([SLOW]).give(LOG)
    expect(wanted.length).to.be.above(20)
    expect(await fired(LOG)).to.deep.equal(wanted)
    // Corrections are none.
    const correction = windowEnding(3, { revision: 1, metrics: { e2e_us: distribution() } })
    await rm(folder, { recursive: true })
    expect(await fired([correction, ...LOG])).to.deep.equal(wanted)
  })

  it('reads a window back as far as a rule can ask', () => {
    const window = windowEnding(7, { incomplete: true, goodput: 0.5, errors_by_type: { x: 30 } })
    const row = cellsOf(AGGREGATE_ROWS.columns, { partition: 0, offset: 1, record: window })
    const { metrics, ...rest } = aggregateOf((row as { cells: Cells }).cells)
    const { metrics: own, ...others } = window
    expect(rest).to.deep.equal(others)
    expect({ ...metrics.e2e_us, histogram: null }).deep.equal({ ...own.e2e_us, histogram: null })
  })

  it('sums up how often, how long, and what fires still', async () => {
    const endMs = NOON_MS + 17 * MINUTE_MS
    expect(sumUp(tryRules([SLOW]).give(windows('-++--+++')), endMs)).to.deep.equal([
      {
        ...{ rule: 'e2e-p95-high', series: '{"model":"m-1"}', times: 2 },
        // From the second minute to the third, and from the sixth on.
        ...{ heldMs: 12 * MINUTE_MS, longestMs: 11 * MINUTE_MS, lastEnd: null },
        first: new Date(NOON_MS + 2 * MINUTE_MS).toISOString(),
      },
    ])
  })
})
