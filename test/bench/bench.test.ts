/** The benches that need no server run to their end; how fast they are is no matter of tests. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Figure, isReached, median, ratio, slope, spread } from './figure.ts'
import { charts, measuredPart } from './page.ts'
import { figuresOf, type Report, tableCells, tableLines } from './report.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const SERVERLESS = [
  'decode',
  'histogram',
  'parquet',
  'otlp',
  'triggers',
  'growth',
  'volume',
  'memory',
]

const FIGURE: Figure = {
  what: 'windowing',
  unit: 'tokens/s',
  values: [16e6, 15e6, 17e6],
  peer: { name: 'Kafka Streams', values: [2e6, 4e6] },
  target: { of: 'ratio', is: 'at least', bound: 5 },
}

const REPORT: Report = {
  ...{ at: '2026-11-26T12:00:00Z', commit: 'abc', node: 'v24', cpu: 'a CPU', cores: 2 },
  ...{ memoryGib: 24, seed: 1 },
  benches: {
    windowing: {
      ...{ commit: 'abc', runs: 3, share: 0.5, readNs: [180.2, 251] as const },
      figures: [FIGURE, { ...FIGURE, what: 'a delay', unit: 's', target: undefined! }],
    },
  },
}

describe('bench', () => {
  it('takes the value in the middle, half of the spread, and the ratio of the middles', () => {
    expect(median([3, 1, 2])).equal(2)
    expect(median([4, 1, 2, 3])).equal(2.5)
    expect(spread(FIGURE.values)).equal(1 / 16)
    expect(ratio(FIGURE)).closeTo(16 / 3, 1e-12)
    expect(ratio({ ...FIGURE, peer: undefined! })).equal(null)
  })

  it('finds the power by which a cost grows, whatever its unit', () => {
    expect(slope([1, 2, 4, 8], [3, 6, 12, 24])).closeTo(1, 1e-12)
    expect(slope([10, 20, 30], [500, 2_000, 4_500])).closeTo(2, 1e-12)
    expect(slope([1, 2, 3], [7, 7, 7])).equal(0)
  })

  it('says whether a target is reached, of the ratio or of the value', () => {
    const reached = (of: 'ratio' | 'value', is: 'at least' | 'at most', bound: number) =>
      isReached({ ...FIGURE, target: { of, is, bound } })
    expect(reached('ratio', 'at least', 5)).equal(true)
    expect(reached('ratio', 'at most', 5)).equal(false)
    expect(reached('value', 'at least', 17e6)).equal(false)
  })

  it('shows figures as a table, with what was missed', () => {
    const missed = { ...FIGURE, target: { of: 'value', is: 'at least', bound: 20e6 } } as const
    const [head, first, second] = tableLines(tableCells('kafka', [FIGURE, missed]))
    expect(head).match(/^kafka +ours +± +unit +peer +is +ratio +target$/)
    expect(first).match(
      /^windowing +16 M +6 % +tokens\/s +Kafka Streams +3 M +5.33 × +≥ 5 × +reached$/,
    )
    expect(second).match(/≥ 20 M +MISSED$/)
  })

  it('draws a bar for each ratio with a target, its mark where the target lies', () => {
    const { ratios } = charts(REPORT)
    expect(ratios).contain('windowing / Kafka Streams')
    expect(ratios).contain('5.33 ×')
    // From 1 to 10 in 410 pixels, behind 480 of labels.
    const x = (value: number) => (480 + Math.log10(value) * 410).toFixed(1)
    expect(ratios).contain(`x1="${x(5)}"`)
    expect(ratios).contain(`width="${(Number(x(16 / 3)) - 480).toFixed(1)}"`)
  })

  it('writes targets first, then each bench whole, as tables of Markdown', () => {
    const page = measuredPart(REPORT)
    expect(page).contain('2026-11-26: a CPU, 2 cores, 24 GiB; Node v24; seed 1.')
    expect(page).contain('### windowing\n\nCommit abc; runs: 3, of 0.5 of the work; a random')
    expect(page).contain(' read of memory took 180 ns before it, 251 after.\n')
    expect(page.match(/^\| windowing \| 16 M \| 6 % \|/gm)).length(2)
    expect(page.indexOf('| target |')).below(page.indexOf('### windowing'))
  })

  it('runs every bench that needs no server, and writes what it found', () => {
    const folder = mkdtempSync(join(tmpdir(), 'lens-bench-test-'))
    try {
      const file = join(folder, 'out.json')
      const argv = ['test/bench/main.ts', ...SERVERLESS, '--share', '0.01', '--runs', '1']
      execFileSync(process.execPath, [...argv, '--json', file], { cwd: ROOT, stdio: 'pipe' })
      const report = JSON.parse(readFileSync(file, 'utf8')) as Report
      expect(Object.keys(report.benches)).deep.equal(SERVERLESS)
      for (const figure of figuresOf(report)) {
        const isSlope = figure.unit === 'slope'
        expect(median(figure.values), figure.what).greaterThan(isSlope ? -10 : 0)
        expect(median(figure.peer?.values ?? [1]), figure.what).greaterThan(0)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  }).timeout(180_000)
})
