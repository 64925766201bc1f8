/** What becomes of a rule over windows that come one a minute, as a table. */
import type { Aggregate, TriggerEvent } from '../../../schemas/records.ts'
import { NOON_MS } from '../../records.ts'
import { distribution, MINUTE_MS, windowEnding } from '../core/triggers/fixture.ts'

/** p95 of a window: high above the threshold, low below all, between threshold and clearBelow. */
const P95: Readonly<Record<string, number>> = { H: 150_000, L: 50_000, m: 90_000 }

/**
 * `?` too few samples, `-` none, `i` not all data, `r` a correction; `_` no window of this series but
 * of another, `.` of none.
 */
const WHEN = 'metric: e2e_us, stat: p95, above: 100ms'
const HYSTERESIS = `${WHEN}, clearBelow: 80ms`

export type Case = readonly [name: string, rule: string, windows: string, events: string]

/** Windows from minute 0; events as `firing@minute`, in words F and R. */
export const CASES: readonly Case[] = [
  // Holds.
  ['nothing', '', 'LLLL', ''],
  ['fires at once without a hold', '', 'LH', 'F1'],
  ['resolves at once', '', 'HL', 'F0 R1'],
  ['fires once for as long as it holds', '', 'HHHH', 'F0'],
  ['fires again after it has resolved', '', 'HLHL', 'F0 R1 F2 R3'],
  ['waits for its hold', 'for: 2m', 'HHH', 'F2'],
  ['does not fire before its hold is over', 'for: 2m', 'HHLHH', ''],
  ['counts the hold anew after a break', 'for: 2m', 'HHLHHH', 'F5'],
  ['holds to the minute', 'for: 3m', 'HHHH', 'F3'],
  ['resolves what had a hold at once', 'for: 1m', 'HHL', 'F1 R2'],
  // A value on the threshold.
  ['takes what is between for not high', '', 'mm', ''],
  // Keep firing.
  ['keeps firing', 'keepFiring: 2m', 'HLL', 'F0'],
  ['resolves when it has been low for so long', 'keepFiring: 2m', 'HLLL', 'F0 R3'],
  ['goes back to firing without an event', 'keepFiring: 2m', 'HLHL', 'F0'],
  ['counts the recovery anew', 'keepFiring: 2m', 'HLLHLLL', 'F0 R6'],
  ['recovers after a hold', 'for: 1m\nkeepFiring: 1m', 'HHLL', 'F1 R3'],
  ['does not flap', 'keepFiring: 3m', 'HLHLHLHLLLL', 'F0 R10'],
  // Hysteresis.
  ['fires on the threshold to enter only', `when: { ${HYSTERESIS} }`, 'mmH', 'F2'],
  ['stays above the threshold to leave', `when: { ${HYSTERESIS} }`, 'Hmmm', 'F0'],
  ['resolves below the threshold to leave', `when: { ${HYSTERESIS} }`, 'HmmL', 'F0 R3'],
  ['enters anew after it has left', `when: { ${HYSTERESIS} }`, 'HLmH', 'F0 R1 F3'],
  ['does not enter while pending', `when: { ${HYSTERESIS} }\nfor: 2m`, 'HmHHH', 'F4'],
  [
    'recovers from the threshold to leave',
    `when: { ${HYSTERESIS} }\nkeepFiring: 2m`,
    'HLmLLL',
    'F0 R5',
  ],
  // Missing data: hold.
  ['does not start on too few', '', '????', ''],
  ['stays firing on too few', '', 'H???', 'F0'],
  ['resolves when data is back and low', '', 'H??L', 'F0 R3'],
  ['does not advance on too few', 'for: 2m', 'HH?H', 'F3'],
  ['does not recover on too few', 'keepFiring: 2m', 'HL??L', 'F0'],
  ['recovers when it knows', 'keepFiring: 2m', 'HL??LL', 'F0 R5'],
  ['treats no samples as too few', '', 'H--L', 'F0 R3'],
  // Missing data: ok.
  ['resolves on too few', 'noData: ok', 'H?', 'F0 R1'],
  ['breaks a hold on too few', 'noData: ok\nfor: 2m', 'HH?HHH', 'F5'],
  ['recovers on too few', 'noData: ok\nkeepFiring: 1m', 'H??', 'F0 R2'],
  // Missing data: breach.
  ['fires on too few', 'noData: breach', 'LLLLLL?', 'F6'],
  ['advances on too few', 'noData: breach\nfor: 2m', 'LLLLLH??', 'F7'],
  ['is no breach before the series is whole', 'noData: breach', '?????', ''],
  ['stays firing on none', 'noData: breach', 'LLLLLH--', 'F5'],
  ['holds on what is not whole', 'noData: breach', 'LLLLLLi', ''],
  // Cooldown.
  ['is held back by a cooldown', 'cooldown: 5m', 'HLHLH', 'F0 R1'],
  ['fires when the cooldown is over, if it holds', 'cooldown: 3m', 'HLHHH', 'F0 R1 F3'],
  ['resolves in its cooldown', 'cooldown: 5m', 'HHL', 'F0 R2'],
  ['counts the cooldown from the firing', 'cooldown: 2m', 'HHLH', 'F0 R2 F3'],
  ['counts a hold within the cooldown', 'cooldown: 4m\nfor: 2m', 'HHHLHHH', 'F2 R3 F6'],
  ['is not held back before it ever fired', 'cooldown: 9m', 'LH', 'F1'],
  // Gaps: no window at all.
  ['begins a hold anew behind a gap', 'for: 2m', 'HH......HHH', 'F10'],
  ['goes on over a gap that windows reach over', 'for: 3m', 'HH..HH', 'F4'],
  ['stays firing over a gap', '', 'H.......H', 'F0'],
  ['recovers anew behind a gap', 'keepFiring: 2m', 'HL......LLL', 'F0 R10'],
  ['resolves behind a gap', '', 'H.......L', 'F0 R8'],
  // Silence: other series have windows.
  ['stays firing in silence', '', 'H____', 'F0'],
  ['is resolved by silence that is taken for good', 'noData: ok', 'H___', 'F0 R1'],
  ['is resolved by an hour of silence', '', `H${'_'.repeat(64)}`, 'F0 R61'],
  ['is resolved by what comes within the hour', '', `H${'_'.repeat(59)}L`, 'F0 R60'],
  ['fires again behind an hour of silence', '', `H${'_'.repeat(64)}H`, 'F0 R61 F65'],
  ['recovers in silence that is taken for good', 'noData: ok\nkeepFiring: 2m', 'H______', 'F0 R3'],
  ['does not recover in silence', 'keepFiring: 2m', 'HL____', 'F0'],
  ['does not hold in silence', 'for: 2m', 'HH____', ''],
  ['holds on behind silence that windows reach over', 'for: 2m', 'H__HH', 'F4'],
  ['begins a hold anew behind silence that none does', 'for: 2m', `H${'_'.repeat(10)}HH`, ''],
  ['holds then', 'for: 2m', `H${'_'.repeat(10)}HHH`, 'F13'],
  ['recovers anew behind it', 'keepFiring: 2m', `HL${'_'.repeat(10)}LL`, 'F0 R13'],
  ['fires on silence that is taken for bad', 'noData: breach', 'LLLLLL___', 'F6'],
  ['holds in silence that is taken for bad', 'noData: breach\nfor: 2m', 'LLLLLL____', 'F8'],
  ['waits in vain in other silence', '', 'LLLLLL____', ''],
  ['fires when nothing comes any more', 'when: { rate: requests, below: 1/s }', 'LLLLLL___', 'F6'],
  [
    'is resolved when it comes again',
    'when: { rate: requests, below: 1/s }',
    'LLLLLL__LL',
    'F6 R8',
  ],
  [
    'ends an hour behind the last',
    'when: { rate: requests, below: 1/s }',
    `LLLLLL${'_'.repeat(64)}`,
    'F6 R66',
  ],
  [
    'says nothing more of what is over',
    'when: { rate: requests, below: 1/s }',
    `LLLLLL${'_'.repeat(90)}`,
    'F6 R66',
  ],
  ['is not asked before another ends later', 'when: { rate: requests, below: 1/s }', 'LLLLLL_', ''],
  // Corrections.
  ['never fires of a correction', '', 'Lr', ''],
  ['never resolves of a correction', '', 'Hr', 'F0'],
  // Rates need whole windows.
  ['has no rate of the first minutes', 'when: { rate: requests, below: 10/s }', 'LLLL', ''],
  ['has a rate of a whole window', 'when: { rate: requests, below: 10/s }', 'LLLLLL', 'F5'],
  ['leaves a rate', 'when: { rate: requests, below: 1/s, clearAbove: 3/s }', 'LLLLLL', ''],
  // Logic.
  ['needs all', `when: { all: [{ ${WHEN} }, { gauge: gpu_utilization, above: 90% }] }`, 'HH', ''],
  ['needs any', `when: { any: [{ ${WHEN} }, { gauge: gpu_utilization, above: 90% }] }`, 'LH', 'F1'],
  [
    'is decided by one that is false',
    `when: { all: [{ ${WHEN} }, { gauge: none, above: 1 }] }`,
    'HL',
    '',
  ],
  [
    'is not decided by an unknown one',
    `when: { all: [{ ${WHEN} }, { gauge: none, above: 1 }] }`,
    'HH',
    '',
  ],
  [
    'is decided by one that is true',
    `when: { any: [{ ${WHEN} }, { gauge: none, above: 1 }] }`,
    'LH',
    'F1',
  ],
  ['knows no opposite of unknown', `when: { not: { ${WHEN} } }`, '??', ''],
  ['fires on the opposite', `when: { not: { ${WHEN} } }`, 'HL', 'F1'],
  ['resolves on the opposite', `when: { not: { ${WHEN} } }`, 'LH', 'F0 R1'],
]

/** The rule of a case, under this name; of one series only when one is given. */
export function ruleText(text: string, name = 'a', model?: string): string {
  const lines = text.includes('when:') ? text : `when: { ${WHEN} }\n${text}`
  const series = model === undefined ? '' : `\nseries: { model: ${model} }`
  const body = `window: 5m\n${lines}${series}`.replaceAll(/^/gm, '    ')
  return `  - name: ${name}\n${body}\n`
}

/** The windows of a case, of this series. */
export function windowsOf(text: string, model = 'm-1'): Aggregate[] {
  const series = { model }
  return [...text].flatMap((sign, minute) => {
    if (sign === '.') return []
    if (sign === '_') return [windowEnding(minute, { series: { model: 'other' } })]
    const count = { '?': 99, '-': 0 }[sign] ?? 100
    const metrics = { e2e_us: distribution({ p95: P95[sign] ?? 0, count }) }
    // A correction is of the window before, and says the opposite.
    if (sign !== 'r') return [windowEnding(minute, { series, metrics, incomplete: sign === 'i' })]
    const p95 = text[minute - 1] === 'H' ? 50_000 : 150_000
    return [
      windowEnding(minute - 1, { series, revision: 1, metrics: { e2e_us: distribution({ p95 }) } }),
    ]
  })
}

/** Events in words: F and R with their minutes. */
export function brief(events: readonly TriggerEvent[]): string {
  return events
    .map(({ state, window_end }) => {
      return `${state === 'firing' ? 'F' : 'R'}${(window_end - NOON_MS) / MINUTE_MS}`
    })
    .join(' ')
}
