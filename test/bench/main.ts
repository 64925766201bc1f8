/** npm run bench: how fast each part is, beside a peer or a limit in the same run. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { BENCHES } from './benches.ts'
import { type Figure, isReached } from './figure.ts'
import { writePage } from './page.ts'
import { randomReadNs } from './random-reads.ts'
import { machine, type Report, tableCells, tableLines, targetRows } from './report.ts'

const HELP = `usage: npm run bench -- [NAME...] [--runs N] [--share S] [--seed N] [--json FILE] [--page]

Runs benchmarks, each in a process of its own, and prints a table: medians, half of the spread, the
ratio to a peer of the same run, and whether the target is reached. Let nothing else run beside it.

  npm run bench                     all of them, some 45 minutes
  npm run bench -- decode           one
  npm run bench -- --share 0.1      a tenth of the work: to see that it runs, not how fast
  npm run bench -- --from FILE      what an earlier run wrote; with --page into docs/performance.md

${Object.entries(BENCHES)
  .map(([name, { about }]) => `  ${name.padEnd(12)} ${about}`)
  .join('\n')}
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    share: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    json: { type: 'string', default: '.bench/last.json' },
    from: { type: 'string', multiple: true },
    page: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else {
  const report = values.from ? earlier(values.from) : await runAll(namesOf(positionals))
  print(targetRows(report))
  if (values.page) writePage(report)
  const whole = Object.values(report.benches).filter(({ share }) => share === 1)
  const figures = whole.flatMap((bench) => bench.figures)
  if (figures.some((figure) => isReached(figure) === false)) process.exitCode = 1
}

function namesOf(asked: readonly string[]): readonly string[] {
  const unknown = asked.filter((name) => !(name in BENCHES))
  if (unknown.length > 0) throw new Error(`no bench ${unknown.join(', ')}\n\n${HELP}`)
  return asked.length > 0 ? asked : Object.keys(BENCHES)
}

type Three = [number, number, number]

async function runAll(names: readonly string[]): Promise<Report> {
  const [runs, share, seed] = [values.runs, values.share, values.seed].map(Number) as Three
  const report: Report = { ...machine(), seed, benches: {} }
  for (const name of names) {
    process.stderr.write(`${name}: ${BENCHES[name]!.about}\n`)
    const before = randomReadNs()
    const figures = await runOne(name)
    const readNs = [before, randomReadNs()] as const
    report.benches[name] = { commit: report.commit, runs, share, readNs, figures }
    print(tableCells(name, figures))
    // At once: a later one may fail.
    mkdirSync(dirname(values.json), { recursive: true })
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  }
  process.stderr.write(`written to ${values.json}\n`)
  return report
}

/** What earlier runs have written; of one bench that of the last file. */
function earlier(files: readonly string[]): Report {
  const reports = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Report)
  const [first] = reports as [Report]
  const benches = Object.assign({}, ...reports.map((each) => each.benches))
  return { ...first, benches }
}

function print(rows: readonly (readonly string[])[]): void {
  process.stdout.write(`${tableLines(rows).join('\n')}\n\n`)
}

/** In a process of its own: what one has compiled or collected is not the next one's. */
async function runOne(name: string): Promise<readonly Figure[]> {
  const path = new URL('one.ts', import.meta.url).pathname
  const { runs, share, seed } = values
  const child = fork(path, [name, runs, share, seed], { execArgv: ['--expose-gc'] })
  const figures: Figure[] = []
  child.on('message', (figure) => figures.push(figure as Figure))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`bench ${name} ended with ${code}`)
  return figures
}
