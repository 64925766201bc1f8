/** npm run test:faults: faults on real processes, a real broker, registry, S3 and OTLP server. */
import { parseArgs } from 'node:util'
import { commitOf } from './previous.ts'
import { recoveryLines, slowRecoveries, vacuous } from './report.ts'
import { type FaultReport, runFaults } from './run-faults.ts'
import { notReturned, runSoak, trendLines } from './soak.ts'

const HELP = `usage: npm run test:faults -- [options]

Kills, pauses, cuts off, slows down and restarts services, and kills the broker, while records are
sent; then compares every window with a recomputation, and triggers, lake, OTLP and topics with what
they should hold.

  npm run test:faults -- --faults 20       some minutes
  npm run test:faults -- --faults 300      the long run: some 35 minutes, ten million chunks
  npm run test:faults -- --soak 20         29 minutes: a fault a minute for 20 of them, then memory,
                                           handles and lag of the services must be as before

  --faults N         how many; 100 or more are a long run, which recoveries may fail
  --seed N           which
  --requests N       how many requests, spread over the run
  --chunks-max N     of a request; half as many on average
  --outages N        of the broker, two minutes each; a long run has 2
  --from-commit REV  begin with the services of that commit; a long run with HEAD~1
  --per-second N     requests of the soak
  --verbose          what the services said
`

const LONG = 100
const number = { type: 'string' } as const
const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    requests: number,
    'chunks-max': number,
    outages: number,
    'from-commit': { type: 'string' },
    soak: number,
    'per-second': { type: 'string', default: '30' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

const faults = Number(values.faults)
const isLong = faults >= LONG
const seed = Number(values.seed)
const log = (line: string) => process.stderr.write(`${new Date().toISOString()} ${line}\n`)
const long = { requests: faults * 340, chunksMax: 200, outages: 2, fromCommit: 'HEAD~1' }
const short = { requests: Math.max(7_000, faults * 350), chunksMax: 60, outages: 0 }
const size = { fromCommit: null, ...(isLong ? long : short) }
const options = {
  faults,
  seed,
  requests: Number(values.requests ?? size.requests),
  chunksMax: Number(values['chunks-max'] ?? size.chunksMax),
  outages: Number(values.outages ?? size.outages),
  fromCommit: values['from-commit'] ?? size.fromCommit,
}

if (values.soak === undefined) {
  const report = await runFaults({ ...options, log })
  const late = isLong ? slowRecoveries(report) : []
  tell(options, report, [], [...vacuous(report), ...late])
} else {
  const requestsPerSecond = Number(values['per-second'])
  const soak = { minutes: Number(values.soak), seed, requestsPerSecond, chunksMax: 200 }
  const { faults: report, trends } = await runSoak({ ...soak, log })
  tell(soak, report, trendLines(trends), notReturned(trends))
}

function tell(how: object, report: FaultReport, lines: readonly string[], more: readonly string[]) {
  const { outputs, recoveriesMs: _, wrong, ...rest } = report
  console.log(JSON.stringify({ commit: commitOf('HEAD'), ...how, ...rest }, null, 2))
  for (const line of [...recoveryLines(report), ...lines]) console.log(line)
  const all = [...wrong, ...more]
  if (all.length > 0 || values.verbose) console.log(outputs)
  for (const line of all) console.log(`WRONG ${line}`)
  process.exit(all.length > 0 ? 1 : 0)
}
