import { expect } from 'chai'
import type { TriggerEvent } from '../../../schemas/records.ts'
import { E2E, TTFT } from '../../../services/core/measure/measures.ts'
import { aggregateResult } from '../../../services/core/windows/result.ts'
import { addMeasure, createAggregate } from '../../../services/core/windows/slice.ts'
import { describeEvent, renderTable } from '../../../services/standalone/table.ts'
import { NOON_MS } from '../../records.ts'

function aggregate(series: Record<string, string>, requests: number, final: boolean) {
  const source = { ...createAggregate(), requests, outputTokens: requests * 10 }
  addMeasure(source, TTFT, 120_000, 1)
  addMeasure(source, E2E, 2_500, 1)
  const window = { series, startMs: NOON_MS, sizeMs: 60_000, final, revision: 0 }
  return aggregateResult(window, source)
}

const EVENT: TriggerEvent = {
  trigger_id: 'x',
  rule: 'e2e-p95-high',
  state: 'firing',
  severity: 'warning',
  series: { model: 'm' },
  size_s: 300,
  window_end: NOON_MS + 60_000,
  since: NOON_MS + 60_000,
  condition: '',
  observed: { 'e2e_us.p95': 316_800, 'requests.rate': 9.66666 },
  thresholds: { 'e2e_us.p95': 100_000, 'requests.rate': 10 },
}

function render(nowMs: number, final: boolean): string[] {
  const finest = { model: 'm', endpoint: 'e', region: '', tenant: 't' }
  return renderTable({
    headline: 'head',
    nowMs,
    sinceMs: NOON_MS,
    aggregates: [
      aggregate(finest, 60, final),
      aggregate({ model: 'm' }, 60, final),
      aggregate({}, 60, final),
    ],
    events: [EVENT],
    rowsMax: 10,
  })
}

describe('standalone/table', () => {
  it('shows the fleet first, then the finest series, and no grouping in between', () => {
    const rows = render(NOON_MS + 90_000, true).slice(3, 5)
    expect(rows[0]).match(/^all requests +1\.0 +10 +0 +120 \/ 120 \/ 120 +- +2\.5 \/ 2\.5 \/ 2\.5$/)
    expect(rows[1]).match(/^m t e +1\.0/)
    expect(render(NOON_MS, true)[5]).equal('')
  })

  it('takes the rate of an open window over the part that has passed', () => {
    expect(render(NOON_MS + 33_000, false)[3]).match(/^all requests +2\.0 /)
    expect(render(NOON_MS + 500_000, false)[3]).match(/^all requests +1\.0 /)
  })

  it('tells an event in the units of a person', () => {
    expect(describeEvent(EVENT)).equal(
      '12:01:00 firing   e2e-p95-high model=m: e2e_us.p95 317 ms (limit 100 ms), ' +
        'requests.rate 9.667/s (limit 10/s)',
    )
  })

  it('says that it waits while there is nothing', () => {
    const view = {
      headline: 'head',
      nowMs: NOON_MS,
      sinceMs: NOON_MS,
      aggregates: [],
      events: [],
      rowsMax: 3,
    }
    expect(renderTable(view).join('\n')).contain('waiting').and.contain('none yet')
  })
})
