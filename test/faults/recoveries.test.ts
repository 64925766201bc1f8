import { expect } from 'chai'
import { recoveries } from './recoveries.ts'
import type { Strike } from './schedule.ts'

function strike(kind: string, service: string, atMs: number, struck: string): Strike {
  const nothing = { group: '', owned: null, hadWork: false }
  return { kind, service, struck: [struck], atMs, endMs: atMs + 1_000, ...nothing }
}

const broker = strike('broker', 'windowing 1', 60_000, 'lens-')

/** What is measured when each takes 20 s from the work on; nothing came to triggers. */
function measured(...others: readonly Strike[]): Record<string, number[]> {
  const recovery = (group: string, atMs: number) =>
    group === 'lens-triggers' ? null : { sinceMs: atMs, ms: 20_000 }
  return recoveries([broker, ...others], { recovery })
}

describe('faults/recoveries', () => {
  it('keeps stages apart that another fault struck before they went on', () => {
    const during = strike('pause', 'exporter 1', 79_000, 'lens-exporter')
    const before = strike('cut', 'statistics 1', 58_500, 'lens-statistics')
    const after = strike('pause', 'windowing 2', 81_000, 'lens-windowing')
    expect(measured(during, before, after)).deep.equal({
      'broker+ lens-exporter-lake': [20_000],
      'broker+ lens-exporter-otlp': [20_000],
      'broker lens-statistics': [20_000],
      'broker lens-windowing': [20_000],
    })
  })

  it('takes another end of the broker for another fault', () => {
    const all = measured(strike('broker', 'windowing 1', 70_000, 'lens-'))
    expect(all).deep.include({
      'broker+ lens-windowing': [20_000],
      'broker lens-windowing': [20_000],
    })
  })

  it('looks at the time from when work came', () => {
    const stop = strike('pause', 'statistics 1', 92_000, 'lens-statistics')
    const early = strike('pause', 'windowing 1', 70_000, 'lens-windowing')
    const recovery = () => ({ sinceMs: 90_000, ms: 21_000 })
    expect(recoveries([broker, stop, early], { recovery })).deep.include({
      'broker+ lens-statistics': [21_000],
      'broker lens-windowing': [21_000],
    })
  })

  it('takes a kill from when the process was gone to the next commit of what it owned', () => {
    const owned = new Set(['t-0'])
    const kill = { ...strike('kill', 'windowing 2', 0, 'lens-windowing'), owned }
    const recovery = (_: string, sinceMs: number) => ({ sinceMs, ms: 5 })
    expect(recoveries([kill], { recovery })).deep.equal({
      'kill windowing': [5],
    })
  })
})
