import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { LensError } from '../../../services/core/errors.ts'
import type { Comparison, Rule } from '../../../services/core/triggers/rule.ts'
import { DEFAULT_RULES } from '../../../services/triggers/config.ts'
import { parseRules } from '../../../services/triggers/rules-file.ts'

const MINUTE_MS = 60_000
const HEAD = 'rules:\n  - name: a\n    window: 5m\n'
const DEFAULTS = { forMs: 0, keepFiringMs: 0, noData: 'hold' }
const WHEN = 'when: { rate: requests, below: 10/s }'

/** A file of one rule, from its line 4 on as given. */
function fileOf(text: string): string {
  return HEAD + text.replaceAll(/^/gm, '    ')
}

function ruleOf(text: string): Rule {
  return parseRules(fileOf(text), 'r.yaml')[0]!
}

function thresholdOf(text: string): number {
  const reading = /s$/.test(text) ? 'metric: ttft_us, stat: p95' : 'gauge: g'
  const compared = text.endsWith('/s') ? 'rate: requests' : reading
  return (ruleOf(`when: { ${compared}, above: ${text} }`).when as Comparison).threshold
}

/** The faults that a file is refused for, one a line; empty when it is taken. */
function faultsOf(text: string): string[] {
  try {
    parseRules(text, 'r.yaml')
  } catch (error) {
    expect(error).to.be.instanceOf(LensError)
    expect((error as LensError).code).to.equal('rules_invalid')
    return (error as LensError).message.split('\n')
  }
  return []
}

describe('triggers/rules-file: the rules that ship', () => {
  const above = { kind: 'compare', direction: 'above', leave: null }
  const p95 = { kind: 'metric', metric: 'e2e_us', stat: 'p95' }
  const e2e = { ...above, reading: p95, minCount: 100 }
  const utilization = { kind: 'gauge', gauge: 'gpu_utilization', stat: 'mean' }
  const gpu = { ...above, reading: utilization, threshold: 0.9, minCount: 1 }
  const requests = { kind: 'compare', leave: null, reading: { kind: 'rate', counter: 'requests' } }
  const errors = { ...above, reading: { kind: 'ratio', counter: 'errors', of: 'requests' } }
  const shipped = parseRules(readFileSync(DEFAULT_RULES, 'utf8'), DEFAULT_RULES)

  function expectRule(name: string, minutes: number, cooldown: number, more: object): void {
    const times = { windowMs: minutes * MINUTE_MS, cooldownMs: cooldown * MINUTE_MS, ...DEFAULTS }
    const want = { name, severity: 'warning', series: {}, ...times, ...more }
    expect(shipped.filter((rule) => rule.name === name)).to.deep.equal([want])
  }

  it('fire when p95 of e2e is above 100 ms over 5 minutes, for each model', () => {
    const when = { ...e2e, threshold: 100_000 }
    expectRule('e2e-p95-high', 5, 10, { groupBy: ['model'], when })
  })

  it('fire when the fleet has less than 10 requests a second over 5 minutes', () => {
    const when = { ...requests, direction: 'below', threshold: 10, minCount: 0 }
    expectRule('throughput-low', 5, 10, { groupBy: [], when })
  })

  it('fire when GPUs are above 90 % and p95 of e2e above 200 ms over 5 minutes', () => {
    const when = { kind: 'all', conditions: [gpu, { ...e2e, threshold: 200_000 }] }
    const more = { groupBy: ['endpoint'], severity: 'critical', when }
    expectRule('gpu-saturated-and-slow', 5, 15, more)
  })

  it('fire when more than 5 % of the requests of a minute are errors, for each model', () => {
    const when = { ...errors, threshold: 0.05, minCount: 20 }
    expectRule('error-rate-high', 1, 5, { groupBy: ['model'], severity: 'critical', when })
  })

  it('are these four', () => {
    expect(shipped).to.have.length(4)
  })
})

describe('triggers/rules-file: values', () => {
  const thresholds: readonly (readonly [string, number])[] = [
    ['100ms', 100_000],
    ['1.5 ms', 1_500],
    ['2s', 2_000_000],
    ['250us', 250],
    ['90%', 0.9],
    ['10/s', 10],
    ['5', 5],
    ['-1.5', -1.5],
  ]
  for (const [text, threshold] of thresholds) {
    it(`reads the threshold ${text} as ${threshold}`, () => {
      expect(thresholdOf(text)).to.equal(threshold)
    })
  }

  it('refuses a threshold in a unit of something else', () => {
    const fault = (condition: string) => faultsOf(fileOf(`when: { ${condition} }`))[0]
    expect(fault('metric: e2e_us, stat: p95, above: 90%')).contain('in % cannot be compared')
    expect(fault('rate: requests, below: 10ms')).contain('write /s or a number')
    expect(fault('ratio: errors, of: requests, above: 5s')).contain('write % or a number')
    expect(fault('metric: guard_share, stat: p95, above: 5%')).equal(undefined)
  })

  it('takes a threshold as it is written, without an error in the last digit', () => {
    const percents = Array.from({ length: 101 }, (_, percent) => percent)
    const wrong = percents.filter((percent) => thresholdOf(`${percent}%`) !== percent / 100)
    expect({ wrong, ms: thresholdOf('1.001ms') }).to.deep.equal({ wrong: [], ms: 1001 })
  })

  it('reads durations in seconds, minutes and hours', () => {
    const { forMs, cooldownMs } = ruleOf(`${WHEN}\nfor: 30s\ncooldown: 2h`)
    expect([forMs, cooldownMs, ruleOf(`${WHEN}\nfor: 5m`).forMs]).to.deep.equal([3e4, 72e5, 3e5])
  })

  it('wants as many samples of a percentile as it takes to mean something', () => {
    const minCount = (text: string) => (ruleOf(`when: { ${text} }`).when as Comparison).minCount
    const stats = ['mean', 'p50', 'p90', 'p95', 'p99', 'p999']
    const counts = stats.map((stat) => minCount(`metric: e2e_us, stat: ${stat}, above: 1s`))
    expect(counts).to.deep.equal([1, 1, 50, 100, 500, 5000])
    expect(minCount('metric: e2e_us, stat: p99, above: 1s, minCount: 7')).to.equal(7)
    expect(minCount('rate: requests, below: 1/s')).to.equal(0)
  })

  it('reads what a rule is left by, and for how long, and what no data is', () => {
    const text = 'when: { metric: e2e_us, stat: p95, above: 200ms, clearBelow: 150ms }'
    const read = ruleOf(`${text}\nkeepFiring: 5m\nnoData: breach`)
    expect(read).to.deep.include({ keepFiringMs: 300_000, noData: 'breach' })
    expect(read.when).to.deep.include({ threshold: 200_000, leave: 150_000 })
    const low = ruleOf('when: { rate: requests, below: 10/s, clearAbove: 12/s }')
    expect(low.when).to.deep.include({ threshold: 10, leave: 12 })
  })

  it('fills in what is left out', () => {
    const labels = { severity: 'warning', groupBy: ['model'], series: {} }
    const common = { ...labels, ...DEFAULTS, cooldownMs: 0 }
    const reading = { kind: 'gauge', gauge: 'g', stat: 'mean' }
    const comparison = {
      kind: 'compare',
      reading,
      ...{ direction: 'above', threshold: 1, leave: null, minCount: 1 },
    }
    const any = { kind: 'any', conditions: [comparison] }
    const when = { kind: 'not', condition: any }
    const rule = ruleOf('when: { not: { any: [{ gauge: g, above: 1 }] } }')
    expect(rule).to.deep.equal({ ...common, name: 'a', windowMs: 5 * MINUTE_MS, when })
  })
})

describe('triggers/rules-file: faults', () => {
  const EITHER = 'a comparison has exactly one of above, below'
  const KIND = 'a condition has exactly one of all, any, not, metric, rate, ratio, gauge'
  /** What is wrong, lines 4 and on, and how the only message begins, after the name of the file. */
  const faults: readonly (readonly [string, string, string])[] = [
    ['an unknown key', `${WHEN}\ncolour: red`, '5: rules.0: Unrecognized key: "colour"'],
    [
      'a threshold to leave on the far side',
      'when: { gauge: g, above: 5, clearBelow: 6 }',
      '4: rules.0.when: clearBelow is on the far side of the threshold',
    ],
    [
      'a threshold to leave of the other direction',
      'when: { gauge: g, above: 5, clearAbove: 6 }',
      '4: rules.0.when: what is above is left by clearBelow',
    ],
    ['no such policy', `${WHEN}\nnoData: maybe`, '5: rules.0.noData: '],
    ['a bad statistic', 'when:\n  gauge: g\n  stat: p95\n  above: 1', '6: rules.0.when.stat: '],
    ['a bad metric', 'when:\n  stat: p95\n  metric: x\n  above: 1', '6: rules.0.when.metric: '],
    ['a bad counter', 'when: { rate: cars, above: 1 }', '4: rules.0.when.rate: '],
    ['no comparison', 'when:\n  rate: requests', `5: rules.0.when: ${EITHER}`],
    ['above and below', 'when: { rate: chunks, above: 1, below: 2 }', `4: rules.0.when: ${EITHER}`],
    ['two kinds', 'when: { rate: chunks, gauge: g, above: 1 }', `4: rules.0.when: ${KIND}`],
    ['no kind', 'when: { above: 1 }', `4: rules.0.when: ${KIND}`],
    ['no condition', 'for: 1m', '2: rules.0.when: '],
    ['an empty list of conditions', 'when:\n  all: []', '5: rules.0.when.all: '],
    ['a bad duration', `${WHEN}\ncooldown: 9 days`, '5: rules.0.cooldown: "9 days" is not a dur'],
    ['a duration without a unit', `${WHEN}\nfor: 10`, '5: rules.0.for: 10 is not a duration'],
    ['a bad threshold', 'when:\n  rate: chunks\n  above: 1min', '6: rules.0.when.above: "1min" '],
    ['a bad minCount', 'when: { rate: chunks, above: 1, minCount: -1 }', '4: rules.0.when.minC'],
    ['a stray dimension', `${WHEN}\nseries:\n  x: y`, '6: rules.0.series.x: x is not in groupBy'],
    ['a nested fault', 'when:\n  all:\n  - not:\n      above: 1', '7: rules.0.when.all.0.not: '],
    ['a key twice', `${WHEN}\n${WHEN}`, '5: Map keys must be unique'],
    ['a syntax error', `${WHEN}\nfor: [1m`, '5: Flow sequence'],
    ['an alias of nothing', 'when: *nothing', '4: '],
  ]
  for (const [title, text, message] of faults) {
    it(`names the line of ${title}`, () => {
      const found = faultsOf(fileOf(text)).map((fault) => fault.slice(0, 7 + message.length))
      expect(found).to.deep.equal([`r.yaml:${message}`])
    })
  }

  const good = fileOf(WHEN)
  const files: readonly (readonly [string, string, RegExp])[] = [
    ['an empty file', '', /^r\.yaml:1: the file: /],
    ['a file of comments only', '# none\n', /^r\.yaml:1: the file: /],
    ['a file without a rule', 'rules: []', /^r\.yaml:1: rules: /],
    ['an unknown key of the file', `${good}\nmore: 1`, /:5: the file: Unrecognized key: "more"/],
    ['a bad name', good.replace('a\n', 'A_b\n'), /:2: rules\.0\.name: a name is lower-case/],
    ['a bad window', good.replace('5m', '2m'), /:3: rules\.0\.window: .*"1m"\|"5m"\|"15m"/],
    ['a name twice', `${good}\n${good.slice(7)}`, /:5: rules\.1\.name: the name a is taken/],
  ]
  for (const [title, text, message] of files) {
    it(`refuses ${title}`, () => {
      const found = faultsOf(text)
      expect(found).to.have.length(1)
      expect(found[0]).to.match(message)
    })
  }

  it('names every fault of a file at once', () => {
    const second = good.slice(7).replace('a\n', 'B\n').replace('below: 10/s', 'below: fast')
    const faults = faultsOf(`${fileOf(`${WHEN}\ncooldown: 1d\nfor: x`)}\n${second}`)
    expect(faults.map((fault) => fault.split(': ').slice(0, 2).join(' '))).to.have.members([
      'r.yaml:5 rules.0.cooldown',
      'r.yaml:6 rules.0.for',
      'r.yaml:7 rules.1.name',
      'r.yaml:9 rules.1.when.below',
    ])
  })
})
