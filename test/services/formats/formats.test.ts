import { expect } from 'chai'
import fc from 'fast-check'
import { type Cell, type Cells, cellsOf, type Dataset } from '../../../services/formats/column.ts'
import { DATASETS } from '../../../services/formats/datasets.ts'
import { FORMAT_NAMES } from '../../../services/formats/format.ts'
import { FORMATS } from '../../../services/formats/formats.ts'
import { RECORDS } from './arbitraries.ts'

const SEED = 20_261_127

function rowsOf(dataset: Dataset, count: number): Cells[] {
  const records = fc.sample(RECORDS[dataset.name]!, { seed: SEED, numRuns: count })
  return records.map((record, i) => {
    const row = cellsOf(dataset.columns, { partition: 0, offset: i, record })
    if ('fault' in row) throw new Error(row.fault)
    return row.cells
  })
}

/** Half of a surrogate pair is no text that UTF-8 can carry, and MessagePack knows one zero. */
function plain(cell: Cell): Cell {
  if (Object.is(cell, -0)) return 0
  return typeof cell === 'string' ? cell.toWellFormed() : cell
}

describe('formats/formats', () => {
  it('has each name once', () => {
    expect(FORMATS.map(({ name }) => name)).to.deep.equal([...FORMAT_NAMES])
  })

  for (const format of FORMATS) {
    for (const dataset of DATASETS) {
      it(`${format.name} gives every row of ${dataset.name} back, written in parts (seed ${SEED})`, () => {
        const rows = rowsOf(dataset, 120)
        const writer = format.writer(dataset)
        const parts = [rows.slice(0, 50), rows.slice(50, 51), rows.slice(51)]
        const bytes = [...parts.map((part) => Buffer.from(writer.add(part))), writer.end()]
        const back = format.read(dataset, Buffer.concat(bytes))
        expect(back.length).to.equal(rows.length)
        for (const [i, row] of back.entries()) {
          expect(row.map(plain), `row ${i}`).to.deep.equal(rows[i]!.map(plain))
        }
      }).timeout(20_000)
    }

    it(`${format.name} can have no row`, () => {
      const dataset = DATASETS[0]!
      const bytes = Buffer.concat([format.writer(dataset).end()])
      expect(format.read(dataset, bytes)).to.deep.equal([])
    })

    it(`${format.name} gives null for a nullable column that was not there yet`, () => {
      const dataset = DATASETS.find(({ name }) => name === 'requests')!
      const older = { ...dataset, columns: dataset.columns.slice(0, 15) }
      const rows = rowsOf(dataset, 5)
      const writer = format.writer(older)
      const added = writer.add(rows.map((cells) => cells.slice(0, 15)))
      const back = format.read(dataset, Buffer.concat([added, writer.end()]))
      const index = dataset.columns.findIndex(({ name }) => name === 'cost_usd')
      expect(back.map((cells) => cells[index])).to.deep.equal(Array(5).fill(null))
      expect(back.map((cells) => cells[0]!)).to.deep.equal(rows.map((cells) => plain(cells[0]!)))
    })
  }
})
