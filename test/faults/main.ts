/** npm run test:faults: faults on real processes, a real broker, registry and S3 server. */
import { parseArgs } from 'node:util'
import { percentile, vacuous } from './report.ts'
import { runFaults } from './run-faults.ts'

const HELP = `usage: npm run test:faults -- [--faults N] [--seed N] [--requests N]

Kills, pauses, cuts off, slows down and restarts services, and kills the broker, while records are
sent; then compares every window with a recomputation, every request with the lake.

  npm run test:faults -- --faults 20       some minutes
  npm run test:faults -- --faults 300      the long run
`

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    requests: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
const faults = Number(values.faults)
const requests = Number(values.requests ?? Math.max(7_000, faults * 350))
const log = (line: string) => process.stderr.write(`${new Date().toISOString()} ${line}\n`)
const report = await runFaults({ faults, seed: Number(values.seed), requests, log })
const wrong = [...report.wrong, ...vacuous(report)]
const { outputs, recoveriesMs, brokerRecoveriesMs, ...rest } = report
console.log(JSON.stringify(rest, null, 2))
for (const [what, all] of Object.entries({ service: recoveriesMs, broker: brokerRecoveriesMs })) {
  const [p50, p99] = [percentile(all, 0.5), percentile(all, 0.99)]
  console.log(
    `recovery of a ${what} after kill -9: ${all.length} times, p50 ${p50} ms, p99 ${p99} ms`,
  )
}
if (wrong.length > 0 || values.verbose) console.log(outputs)
for (const line of wrong) console.log(`WRONG ${line}`)
process.exit(wrong.length > 0 ? 1 : 0)
