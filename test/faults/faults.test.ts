import { expect } from 'chai'
import { vacuous } from './report.ts'
import { type FaultReport, runFaults } from './run-faults.ts'

/** The long run is npm run test:faults -- --faults 300. */
const FAULTS = 20

describe('faults', () => {
  it(`loses nothing and counts nothing twice under ${FAULTS} faults on real processes`, async () => {
    const report = await runFaults({ faults: FAULTS, seed: 1, requests: 7_000, log: () => {} })
    const wrong = [...report.wrong, ...vacuous(report)]
    if (wrong.length > 0) console.log(report.outputs)
    expect(wrong).deep.equal([])
    expect(report.chunks).greaterThan(200_000)
    console.log(`        ${summary(report)}`)
  }).timeout(900_000)
})

function summary({ chunks, windows, seen, recoveriesMs }: FaultReport): string {
  const slowest = Math.max(...recoveriesMs)
  return `${chunks} chunks, ${windows} windows, ${JSON.stringify(seen)}, slowest recovery ${slowest} ms`
}
