import { expect } from 'chai'
import fc from 'fast-check'
import { type Cells, cellsOf } from '../../../services/formats/column.ts'
import { DATASETS } from '../../../services/formats/datasets.ts'
import { FORMATS } from '../../../services/formats/formats.ts'
import { measureFormat } from '../../../services/lens/format-measure.ts'
import { RECORDS } from '../formats/arbitraries.ts'

describe('lens/format-measure', function () {
  this.timeout(60_000)

  for (const dataset of DATASETS) {
    const records = fc.sample(RECORDS[dataset.name]!, { seed: 7, numRuns: 50 })
    const rows = records.map((record, offset) => {
      const row = cellsOf(dataset.columns, { partition: 0, offset, record })
      return (row as { readonly cells: Cells }).cells
    })

    it(`finds that readers of ${dataset.name} go on when a column is added`, () => {
      const found = FORMATS.map((format) => {
        const { readsNewer, readsOlder } = measureFormat(format, dataset, rows)
        return [format.name, readsNewer, readsOlder]
      })
      expect(found).to.deep.equal(FORMATS.map(({ name }) => [name, true, true]))
    })
  }

  it('finds a format whose readers do not', () => {
    const [json] = FORMATS
    const strict = {
      ...json!,
      read: (...[by, bytes]: Parameters<NonNullable<typeof json>['read']>) => {
        const rows = json!.read(by, bytes)
        if (String(Buffer.from(bytes)).includes('added_later')) throw new Error('unknown column')
        return rows
      },
    }
    const [dataset] = DATASETS
    const [record] = fc.sample(RECORDS[dataset!.name]!, { seed: 7, numRuns: 1 })
    const row = cellsOf(dataset!.columns, { partition: 0, offset: 0, record })
    const found = measureFormat(strict, dataset!, [(row as { cells: Cells }).cells])
    expect(found).to.deep.include({ readsNewer: false, readsOlder: true })
  })
})
