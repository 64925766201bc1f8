/** One bench, in the process that main.ts starts for it. */
import { BENCHES } from './benches.ts'

const [name, runs, share, seed] = process.argv.slice(2)
const bench = await BENCHES[name!]!.load()
const log = (line: string) => void process.stderr.write(`  ${line}\n`)
const around = { runs: Number(runs), share: Number(share), seed: Number(seed), log }
for await (const figure of bench.run(around)) process.send!(figure)
process.disconnect()
