import { expect } from 'chai'
import * as table from '../../../../services/core/measure/measures.ts'

const { MEASURES } = table

describe('core/measure/measures', () => {
  it('numbers the measures by their position in the table', () => {
    expect(MEASURES.map(({ id }) => id)).to.deep.equal(MEASURES.map((_, i) => i))
  })

  it('keeps the ids of the published names: rows are appended, never moved', () => {
    expect(MEASURES.map(({ name }) => name)).to.deep.equal([
      'ttft_us',
      'chunk_gap_us',
      'itl_us',
      'tpot_us',
      'e2e_us',
      'queue_us',
      'guard_us',
      'guard_share',
    ])
  })

  it('gives no two measures one name, or one name of OpenTelemetry', () => {
    expect(new Set(MEASURES.map(({ name }) => name)).size).to.equal(MEASURES.length)
    expect(new Set(MEASURES.map(({ otel }) => otel)).size).to.equal(MEASURES.length)
  })

  it('holds every measure that is exported', () => {
    const exported = Object.values(table).filter(
      (value) => typeof value === 'object' && 'formula' in value,
    )
    expect(exported).to.have.members(MEASURES as unknown[])
  })

  it('names the unit at the end of the name, and counts times in whole microseconds', () => {
    for (const { name, unit, unitShift } of MEASURES) {
      expect([name, name.endsWith('_us'), unitShift === 0]).to.deep.equal([
        name,
        unit === 'us',
        unit === 'us',
      ])
    }
  })

  it('takes request times of requests that ended ok only', () => {
    const ofOk = MEASURES.filter(({ takenFrom }) => takenFrom === 'ok').map(({ name }) => name)
    expect(ofOk).to.deep.equal(['tpot_us', 'e2e_us'])
  })

  it('completes chunk measures at their chunk and the rest at the end of the request', () => {
    const completed = Object.fromEntries(
      MEASURES.filter(({ completedAt }) => completedAt !== 'end').map((m) => [
        m.name,
        m.completedAt,
      ]),
    )
    expect(completed).to.deep.equal({
      ttft_us: 'first chunk',
      chunk_gap_us: 'chunk',
      itl_us: 'chunk',
    })
  })
})
