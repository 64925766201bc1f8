import { expect } from 'chai'
import { DEFAULT_GROUPINGS } from '../../../services/core/windows/series.ts'
import {
  createFold,
  createFoldShared,
  DEFAULT_SERIES_MAX,
} from '../../../services/windowing/fold.ts'
import { wholeRequest } from '../../records.ts'
import { tokenRun } from '../core/windows/runs.ts'

const POLICY = { groupings: DEFAULT_GROUPINGS, seriesMax: DEFAULT_SERIES_MAX }
const PARTITIONS = 4

describe('windowing/fold', () => {
  // The table of labels begins anew when it is full, and not at the same record in every process.
  it('takes equal labels for the same, be they one object or two', () => {
    const run = tokenRun(wholeRequest({ gaps_us: [200_000, 30e6, 30e6], attributes: { a: 'b' } }))
    const [one, two] = [0, 1].map(() => createFold(POLICY, createFoldShared(DEFAULT_GROUPINGS)))
    for (let i = 0; i < 3; i++) {
      one!.run(run)
      two!.run({ ...run, labels: structuredClone(run.labels) })
    }
    expect(two!.sliceCount()).greaterThan(1).and.equal(one!.sliceCount())
    expect(two!.results(PARTITIONS)).deep.equal(one!.results(PARTITIONS))
  })
})
