import { expect } from 'chai'
import type { Rule } from '../../../../services/core/triggers/rule.ts'
import { NOON_MS } from '../../../records.ts'
import { MINUTE_MS, rule, run, windowEnding, windows } from './fixture.ts'

/** `state@minute` of every event. */
function eventsOf(by: Rule, text: string): string[] {
  const { events } = run(by, windows(text))
  return events.map(({ state, window_end }) => `${state}@${(window_end - NOON_MS) / MINUTE_MS}`)
}

describe('core/triggers/episode: firing and resolving', () => {
  const cases: readonly (readonly [string, Partial<Rule>, string, readonly string[]])[] = [
    ['fires when the condition holds', {}, '-+', ['firing@1']],
    ['fires once while it holds', {}, '+++', ['firing@0']],
    ['resolves when it holds no more', {}, '++--', ['firing@0', 'resolved@2']],
    ['fires again after that', {}, '+-+-', ['firing@0', 'resolved@1', 'firing@2', 'resolved@3']],
    ['never resolves what has not fired', {}, '---', []],
    ['unknown does not start it', {}, '??', []],
    ['unknown does not resolve it', {}, '+??', ['firing@0']],
    ['resolves after unknown', {}, '+?-', ['firing@0', 'resolved@2']],
    ['waits as long as `for`', { forMs: 2 * MINUTE_MS }, '++++', ['firing@2']],
    ['forgets the wait when it holds no more', { forMs: 2 * MINUTE_MS }, '++-++-', []],
    ['unknown does not fire what waits', { forMs: 2 * MINUTE_MS }, '++?', []],
    [
      'holds back the next firing',
      { cooldownMs: 4 * MINUTE_MS },
      '+-+-+',
      ['firing@0', 'resolved@1', 'firing@4'],
    ],
    [
      'fires after the cooldown, not within it',
      { cooldownMs: 4 * MINUTE_MS },
      '+-++++',
      ['firing@0', 'resolved@1', 'firing@4'],
    ],
    [
      'does not fire when it ended within the cooldown',
      { cooldownMs: 4 * MINUTE_MS },
      '+-++--',
      ['firing@0', 'resolved@1'],
    ],
    [
      'resolves within the cooldown',
      { cooldownMs: 9 * MINUTE_MS },
      '++-',
      ['firing@0', 'resolved@2'],
    ],
  ]
  for (const [title, more, text, events] of cases) {
    it(`${title}: ${text}`, () => {
      expect(eventsOf(rule(more), text)).to.deep.equal(events)
    })
  }

  it('does not count the time without any window towards `for`', () => {
    const by = rule({ forMs: 5 * MINUTE_MS })
    const [first] = windows('+')
    const later = windowEnding(600)
    expect(run(by, [first!, later]).events).to.deep.equal([])
  })
})
