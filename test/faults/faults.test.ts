import { expect } from 'chai'
import { recoveryLines, vacuous } from './report.ts'
import { type FaultReport, runFaults } from './run-faults.ts'

/** The long run is npm run test:faults -- --faults 300. */
const FAULTS = 20

describe('faults', () => {
  it(`loses nothing and counts nothing twice under ${FAULTS} faults on real processes`, async () => {
    const size = { faults: FAULTS, requests: 7_000, chunksMax: 60, outages: 0, fromCommit: null }
    const report = await runFaults({ ...size, seed: 1, log: () => {} })
    const wrong = [...report.wrong, ...vacuous(report)]
    if (wrong.length > 0) console.log(report.outputs)
    expect(wrong).deep.equal([])
    expect(report.chunks).greaterThan(200_000)
    console.log(`        ${summary(report)}`)
  }).timeout(900_000)
})

function summary(report: FaultReport): string {
  const { chunks, windows, seen } = report
  const lines = [`${chunks} chunks, ${windows} windows, ${JSON.stringify(seen)}`]
  return [...lines, ...recoveryLines(report)].join('\n        ')
}
