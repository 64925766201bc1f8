/** npm run simulate: many seeds, or one with its trace. */
import { parseArgs } from 'node:util'
import { openCodec, simulate } from './simulate.ts'

const HELP = `usage: npm run simulate -- [--seeds N] [--from N] | --seed N [--quiet]

The whole pipeline in one process under a seeded scheduler: crashes, zombies, rebalances, repeats,
lost replies, clocks that are off. Each seed is run and checked against a recomputation.

  npm run simulate -- --seeds 10000     all of 1 to 10000; says which seeds failed
  npm run simulate -- --seed 4711       one seed, with its trace
  --twice                               each seed is run twice: the trace must be the same
  --first                               end at the first seed that fails
`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    twice: { type: 'boolean', default: false },
    first: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const codec = await openCodec()
if (values.help) process.stdout.write(HELP)
else if (values.seed) await one(Number(values.seed))
else await many(Number(values.from), Number(values.seeds))

async function one(seed: number): Promise<void> {
  const print = values.quiet ? undefined : (line: string) => void process.stdout.write(`${line}\n`)
  const { faults, hash, lines, seen } = await simulate(seed, codec, print)
  console.log(`seed ${seed}: trace ${hash}, ${lines} lines, saw ${JSON.stringify(seen)}`)
  for (const fault of faults) console.log(`  ${fault}`)
  if (faults.length > 0) process.exitCode = 1
}

async function many(from: number, seeds: number): Promise<void> {
  const startedMs = performance.now()
  const seen: Record<string, number> = {}
  let failed = 0
  let different = 0
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await simulate(seed, codec)
    for (const [what, n] of Object.entries(outcome.seen)) seen[what] = (seen[what] ?? 0) + n
    if (values.twice && (await traceOf(seed)) !== outcome.hash) {
      different++
      console.log(`seed ${seed}: two runs had different traces`)
    }
    if (outcome.faults.length > 0) {
      failed++
      console.log(`seed ${seed}: ${outcome.faults[0]}`)
    }
    if (values.first && failed > 0) break
    if ((seed - from + 1) % 500 === 0) progress(seed - from + 1, seeds, startedMs)
  }
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1)
  console.log(`${seeds} seeds in ${minutes} min: ${failed} failed, ${different} not repeatable`)
  console.log(`saw ${JSON.stringify(seen)}`)
  if (failed + different > 0) process.exitCode = 1
}

/** Of a second run, which needs no checks: what it did is all in its trace. */
async function traceOf(seed: number): Promise<string> {
  return (await simulate(seed, codec, undefined, false)).hash
}

function progress(done: number, all: number, startedMs: number): void {
  const leftMs = ((performance.now() - startedMs) / done) * (all - done)
  process.stderr.write(`${done} of ${all} seeds, ${Math.ceil(leftMs / 60_000)} min to go\n`)
}
