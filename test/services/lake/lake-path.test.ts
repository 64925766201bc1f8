import { expect } from 'chai'
import { lakePath } from '../../../services/lake/lake-path.ts'

const PLACE = { dataset: 'requests', topic: 'lens.token-events', partition: 3, from: 41 }

describe('lake/lake-path', () => {
  it('puts a row into the UTC date and hour of its event time, named by the first offset', () => {
    const eventUs = Date.UTC(2025, 10, 24, 23, 59, 59, 999) * 1000 + 999
    expect(lakePath(PLACE, eventUs)).to.equal(
      'requests/date=2025-11-24/hour=23/lens.token-events-3-00000000000000000041.parquet',
    )
    expect(lakePath(PLACE, eventUs + 1)).to.contain('date=2025-11-25/hour=00/')
  })

  it('sorts by offset as text does', () => {
    const names = [9, 10, 2 ** 53 - 1].map((from) => lakePath({ ...PLACE, from }, 0)!)
    expect([...names].sort()).to.deep.equal(names)
  })

  it('has no place for a time that is none', () => {
    for (const eventUs of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(lakePath(PLACE, eventUs), String(eventUs)).to.equal(null)
    }
    expect(lakePath(PLACE, 2 ** 53 - 1)).to.contain('date=2255-06-05/hour=23/')
  })
})
