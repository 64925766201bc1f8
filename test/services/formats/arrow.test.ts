import { type Table, tableFromIPC } from 'apache-arrow'
import { expect } from 'chai'
import { toArrow, toArrowStream } from '../../../services/formats/arrow.ts'
import { type Cell, type ColumnType, optional } from '../../../services/formats/column.ts'

function tableOf(type: ColumnType, cells: readonly Cell[]): Table {
  const column = optional<unknown>('c', type, () => null)
  return toArrow(
    [column],
    cells.map((cell) => [cell]),
  )
}

/** What apache-arrow itself reads back from the stream. */
function throughStream(type: ColumnType, cells: readonly Cell[]): unknown[] {
  const column = tableFromIPC(toArrowStream(tableOf(type, cells))).getChild('c')!
  return [...column].map((cell) => (cell !== null && typeof cell === 'object' ? [...cell] : cell))
}

describe('formats/arrow', () => {
  it('writes each type, and null in each', () => {
    const cases: readonly (readonly [ColumnType, readonly Cell[], unknown[]?])[] = [
      ['string', ['a', null, '', 'größe', '😀']],
      ['label', ['x', 'y', null, 'x', '']],
      ['int64', [2 ** 53 - 1, null, -1, -(2 ** 53) + 1, 0, -(2 ** 32), 2 ** 32 - 1]],
      ['int32', [2 ** 31 - 1, null, -(2 ** 31), 0]],
      ['float64', [0.1, null, -0, Number.MAX_VALUE, Number.NaN]],
      ['bool', [true, null, false, true, true, true, true, true, false, true]],
      ['int64_list', [[1, 2 ** 53 - 1], null, [], [-5]]],
      ['string_list', [['a', 'ö'], null, [], ['']]],
    ]
    for (const [type, cells] of cases) {
      const isWide = type.startsWith('int64')
      const wide = (cell: Cell): unknown =>
        typeof cell === 'number' && isWide ? BigInt(cell) : cell
      const expected = cells.map((cell) => (Array.isArray(cell) ? cell.map(wide) : wide(cell)))
      expect(throughStream(type, cells), type).to.deep.equal(expected)
    }
  })

  it('writes timestamps as exact microseconds in UTC', () => {
    const cells = [2 ** 53 - 1, 0, null, 1_764_000_000_123_457]
    const { values } = tableOf('timestamp_us', cells).getChild('c')!.data[0]!
    expect([...(values as BigInt64Array)]).to.deep.equal(cells.map((cell) => BigInt(cell ?? 0)))
    expect(String(tableOf('timestamp_us', []).schema.fields[0]!.type)).to.equal(
      'Timestamp<MICROSECOND, UTC>',
    )
  })

  it('keeps halves of a surrogate pair in two cells apart', () => {
    const lone = ['a\ud83d', '\ude00b', 'ok']
    expect(throughStream('string', lone)).to.deep.equal(['a\ufffd', '\ufffdb', 'ok'])
  })

  it('refuses a number that a double cannot tell from its neighbour', () => {
    expect(() => tableOf('int64', [1, 2 ** 53])).to.throw(
      'bug: column c, row 1 is 9007199254740992, which is no integer within ±(2^53 - 1)',
    )
    expect(() => tableOf('int64_list', [[2 ** 53]])).to.throw(/column c, row 0/)
  })

  it('gives the same bytes for the same rows, dictionaries included', () => {
    const stream = (): Uint8Array => toArrowStream(tableOf('label', ['a', 'b', 'a']))
    expect(stream()).to.deep.equal(stream())
  })
})
