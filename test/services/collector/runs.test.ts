import { expect } from 'chai'
import type { TokenEvents } from '../../../schemas/records.ts'
import { createMeter, type Meter } from '../../../services/collector/meter.ts'
import { createRuns } from '../../../services/collector/runs.ts'
import { createHandClock } from './hand-clock.ts'

function meterNamed(request_id: string): Meter {
  const none = { source: '', provider: '', model: '', region: '', tenant: '', attributes: {} }
  return createMeter({ request_id, endpoint: 'e', ...none }, 0)
}

describe('collector/runs', () => {
  it('takes the run of each open request once a second, also when its stream stalls', async () => {
    const clock = createHandClock()
    const runs = createRuns(1000, clock)
    const records: TokenEvents[] = []
    const meters = Array.from({ length: 25 }, (_, i) => meterNamed(`r${i}`))
    for (const meter of meters) runs.add(meter, (record) => records.push(record))
    for (const meter of meters) meter.chunk(10, null)
    await clock.advance(1000)
    expect(new Set(records.map((record) => record.request_id)).size).to.equal(25)
    expect(records).to.have.length(25)
    await clock.advance(1000)
    expect(records).to.have.length(25)
    meters[3]!.chunk(20, null)
    await clock.advance(1000)
    expect(records).to.have.length(26)
  })

  it('takes nothing of a request that is over within half a second', async () => {
    const clock = createHandClock()
    const runs = createRuns(1000, clock)
    const records: TokenEvents[] = []
    for (let i = 0; i < 60; i++) {
      const meter = meterNamed(`r${i}`)
      runs.add(meter, (record) => records.push(record))
      meter.chunk(10, null)
      await clock.advance(490)
      runs.remove(meter)
    }
    expect(records).deep.equal([])
  })

  it('has a timer only while requests are open', async () => {
    const clock = createHandClock()
    const runs = createRuns(1000, clock)
    expect(clock.waiting()).to.equal(0)
    const [a, b] = [meterNamed('a'), meterNamed('b')]
    runs.add(a, () => {})
    runs.add(b, () => {})
    expect(clock.waiting()).to.equal(1)
    expect(runs.open()).to.equal(2)
    runs.remove(a)
    expect(clock.waiting()).to.equal(1)
    runs.remove(b)
    runs.remove(b)
    expect(clock.waiting()).to.equal(0)
    expect(runs.open()).to.equal(0)
  })
})
