import { expect } from 'chai'
import {
  type Cell,
  type ColumnType,
  cellFault,
  cellsOf,
  optional,
  required,
} from '../../../services/formats/column.ts'

const BEYOND = 2 ** 53

describe('formats/column', () => {
  const fits: readonly (readonly [ColumnType, Cell])[] = [
    ['string', ''],
    ['label', 'a'],
    ['int64', 2 ** 53 - 1],
    ['int64', -(2 ** 53) + 1],
    ['timestamp_us', 0],
    ['int32', -(2 ** 31)],
    ['float64', Number.NaN],
    ['bool', false],
    ['int64_list', []],
    ['int64_list', [1, 2 ** 53 - 1]],
    ['string_list', ['a', '']],
  ]
  for (const [type, cell] of fits) {
    it(`takes ${JSON.stringify(cell)} as ${type}`, () => {
      expect(
        cellFault(
          required('c', type, () => cell),
          cell,
        ),
      ).to.equal(null)
    })
  }

  const unfit: readonly (readonly [ColumnType, Cell, RegExp])[] = [
    ['int64', BEYOND, /is 9007199254740992, which is no integer within/],
    ['timestamp_us', 1.5, /is 1\.5, which is no integer/],
    ['int32', 2 ** 31, /is 2147483648, which is no 32-bit integer/],
    ['int32', 0.5, /no 32-bit integer/],
    ['int64_list', [1, BEYOND], /is 9007199254740992/],
    ['string_list', [1], /holds no text/],
    ['string', 1, /is no text/],
    ['bool', 0, /is no boolean/],
    ['float64', '1', /is no number/],
    ['int64_list', 1, /is no list/],
  ]
  for (const [type, cell, why] of unfit) {
    it(`refuses ${JSON.stringify(cell)} as ${type}`, () => {
      expect(
        cellFault(
          required('c', type, () => cell),
          cell,
        ),
      ).to.match(why)
    })
  }

  it('takes null only where the column says so', () => {
    expect(
      cellFault(
        optional('c', 'int64', () => null),
        null,
      ),
    ).to.equal(null)
    expect(
      cellFault(
        required('c', 'int64', () => null),
        null,
      ),
    ).to.match(/not nullable/)
  })

  it('says which column and which record it cannot take', () => {
    const columns = [required<number>('n', 'int64', (n) => n * BEYOND)]
    const row = { partition: 0, offset: 7, record: 3 }
    expect(cellsOf(columns as never, row)).to.deep.equal({
      fault: 'n of offset 7 is 27021597764222976, which is no integer within ±(2^53 - 1)',
    })
  })

  it('keeps nothing of a record, which may be used again', () => {
    const record = { list: [1, 2] }
    const columns = [required<typeof record>('l', 'int64_list', (r) => r.list)]
    const row = cellsOf(columns as never, { partition: 0, offset: 0, record })
    record.list[0] = 99
    expect(row).to.deep.equal({ cells: [[1, 2]] })
  })
})
