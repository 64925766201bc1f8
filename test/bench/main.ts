/** npm run bench: how fast each part is, beside a peer or a limit in the same run. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { BENCHES } from './benches.ts'
import { type Figure, isReached } from './figure.ts'
import { machine, type Report, tableLines } from './report.ts'

const HELP = `usage: npm run bench -- [NAME...] [--runs N] [--share S] [--seed N] [--json FILE]

Runs benchmarks, each in a process of its own, and prints a table: medians, half of the spread, the
ratio to a peer of the same run, and whether the target is reached. Let nothing else run beside it.

  npm run bench                     all of them, some 30 minutes
  npm run bench -- decode           one
  npm run bench -- --share 0.1      a tenth of the work: to see that it runs, not how fast

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
    help: { type: 'boolean', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else await runAll(positionals.length > 0 ? positionals : Object.keys(BENCHES))

async function runAll(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !(name in BENCHES))
  if (unknown.length > 0) throw new Error(`no bench ${unknown.join(', ')}\n\n${HELP}`)
  const { runs, share, seed } = values
  const report: Report = {
    ...machine(),
    runs: Number(runs),
    share: Number(share),
    seed: Number(seed),
    benches: {},
  }
  for (const name of names) {
    process.stderr.write(`${name}: ${BENCHES[name]!.about}\n`)
    const figures = await runOne(name)
    report.benches[name] = figures
    process.stdout.write(`${tableLines(name, figures).join('\n')}\n\n`)
  }
  mkdirSync(dirname(values.json), { recursive: true })
  writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  process.stderr.write(`written to ${values.json}\n`)
  const missed = Object.values(report.benches)
    .flat()
    .filter((figure) => isReached(figure) === false)
  if (missed.length > 0 && Number(share) === 1) process.exitCode = 1
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
