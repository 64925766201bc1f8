import { expect } from 'chai'
import type { RuleEpisode } from '../../../../schemas/records.ts'
import {
  createEpisode,
  isWorthKeeping,
  startsBySilence,
  stepEpisode,
  watchesSilence,
} from '../../../../services/core/triggers/episode.ts'
import { type Rule, ruleRevision } from '../../../../services/core/triggers/rule.ts'
import { NOON_MS } from '../../../records.ts'
import {
  compare,
  distribution,
  E2E_P95,
  MINUTE_MS,
  REQUEST_RATE,
  rule,
  run,
  SERIES,
  windowEnding,
  windows,
} from './fixture.ts'

describe('core/triggers/episode: events', () => {
  const { events } = run(rule({ severity: 'critical', forMs: MINUTE_MS }), windows('-++-'))

  it('says what held, since when, and for which series', () => {
    expect(events[0]).to.deep.equal({
      trigger_id: 'e2e-p95-high|{"model":"m-1"}|2026-11-24T12:02:00.000Z',
      rule: 'e2e-p95-high',
      state: 'firing',
      severity: 'critical',
      series: { model: 'm-1' },
      size_s: 300,
      window_end: NOON_MS + 2 * MINUTE_MS,
      since: NOON_MS + MINUTE_MS,
      condition: 'e2e_us.p95 above 100000',
      observed: { 'e2e_us.p95': 150_000 },
      thresholds: { 'e2e_us.p95': 100_000 },
    })
  })

  it('resolves under the id of the firing, with what was read then', () => {
    expect(events[1]).to.deep.equal({
      ...events[0],
      state: 'resolved',
      window_end: NOON_MS + 3 * MINUTE_MS,
      observed: { 'e2e_us.p95': 50_000 },
    })
  })

  it('gives each episode its own id, and the same windows the same ids', () => {
    const ids = run(rule(), windows('+-+-')).events.map((event) => event.trigger_id)
    expect(new Set(ids).size).to.equal(2)
    expect(run(rule(), windows('+-+-')).events.map((event) => event.trigger_id)).to.deep.equal(ids)
  })
})

describe('core/triggers/episode: state', () => {
  it('begins inactive, and changes nothing that it was given', () => {
    const before = Object.freeze(createEpisode(rule(), SERIES))
    expect(before).to.deep.equal({
      rule: 'e2e-p95-high',
      series: SERIES,
      state: 'inactive',
      first_end: 0,
      evaluated_through: 0,
      heard_through: 0,
      revision: ruleRevision(rule()),
      severity: 'warning',
      size_s: 300,
      since: 0,
      held_ms: 0,
      fired_at: 0,
    })
    stepEpisode(rule(), before, windowEnding(0))
  })

  it('goes from inactive over pending to firing and back', () => {
    const { states } = run(rule({ forMs: MINUTE_MS }), windows('-++?-'))
    expect(states.map(({ state, since, fired_at }) => [state, since, fired_at])).to.deep.equal([
      ['inactive', 0, 0],
      ['pending', NOON_MS + MINUTE_MS, 0],
      ['firing', NOON_MS + MINUTE_MS, NOON_MS + 2 * MINUTE_MS],
      ['firing', NOON_MS + MINUTE_MS, NOON_MS + 2 * MINUTE_MS],
      ['inactive', 0, NOON_MS + 2 * MINUTE_MS],
    ])
  })

  it('is not changed by a window that was applied before, whatever it holds', () => {
    const text = '-++-+?'
    const { states } = run(rule({ forMs: MINUTE_MS }), windows(text))
    for (const [i, state] of states.entries()) {
      for (const repeat of [
        ...windows(text).slice(0, i + 1),
        ...windows('+-+-+-').slice(0, i + 1),
      ]) {
        expect(stepEpisode(rule(), state, repeat)).to.deep.equal({ state, event: null })
      }
    }
  })

  it('remembers the first window and the last one, unknown ones too', () => {
    const { states } = run(rule(), windows('?-+'))
    expect(
      states.map(({ first_end, evaluated_through }) => [first_end, evaluated_through]),
    ).to.deep.equal([
      [NOON_MS, NOON_MS],
      [NOON_MS, NOON_MS + MINUTE_MS],
      [NOON_MS, NOON_MS + 2 * MINUTE_MS],
    ])
  })

  it('knows a rate below a threshold from the first window after the first seen', () => {
    const when = compare(REQUEST_RATE, 10, { direction: 'below' })
    const minutes = [0, 1, 4, 5, 6].map((minute) => windowEnding(minute))
    const { states, events } = run(rule({ when }), minutes)
    expect(states.map(({ state }) => state)).to.deep.equal([
      'inactive',
      'inactive',
      'inactive',
      'firing',
      'firing',
    ])
    expect(events.map(({ window_end }) => window_end)).to.deep.equal([NOON_MS + 5 * MINUTE_MS])
  })

  it('waits for enough samples', () => {
    const when = compare(E2E_P95, 100_000, { minCount: 100 })
    const few = windowEnding(0, { metrics: { e2e_us: distribution({ count: 99 }) } })
    expect(run(rule({ when }), [few]).events).to.deep.equal([])
    expect(run(rule({ when }), [few, windowEnding(1)]).events).to.have.length(1)
  })

  it('is worth keeping when anything but how far it was evaluated has changed', () => {
    const state = createEpisode(rule(), SERIES)
    const changed: Partial<RuleEpisode>[] = [
      { state: 'pending' },
      { since: 1 },
      { fired_at: 1 },
      { first_end: 1 },
    ]
    const isKept = (by: Rule, more: Partial<RuleEpisode>) => {
      const after = { ...state, ...more }
      return isWorthKeeping(state, after, watchesSilence(by, after, startsBySilence(by)))
    }
    for (const more of changed) expect(isKept(rule(), more)).to.equal(true)
    const later = { evaluated_through: 1, heard_through: 1 }
    expect(isKept(rule(), later)).to.equal(false)
    // But for rules that silence starts.
    expect(isKept(rule({ noData: 'breach' }), later)).to.equal(true)
    const low = compare(REQUEST_RATE, 10, { direction: 'below' })
    expect(isKept(rule({ when: low }), later)).to.equal(true)
  })

  it('fires alike after a restart, also behind a window about which nothing can be said', () => {
    const waiting = rule({ when: compare(E2E_P95, 100_000, { minCount: 100 }), forMs: 60_000 })
    const few = { metrics: { e2e_us: distribution({ count: 99 }) } }
    const minutes = [{}, few, {}].map((more, i) => {
      return windowEnding(i, { size_s: 60, start: NOON_MS + (i - 1) * MINUTE_MS, ...more })
    })
    let kept = createEpisode(waiting, SERIES)
    let state = kept
    for (const window of minutes.slice(0, 2)) {
      const step = stepEpisode(waiting, state, window)
      const isWatched = watchesSilence(waiting, step.state, startsBySilence(waiting))
      if (isWorthKeeping(state, step.state, isWatched)) kept = step.state
      state = step.state
    }
    const { event } = stepEpisode(waiting, kept, minutes[2]!)
    expect(event).to.deep.equal(stepEpisode(waiting, state, minutes[2]!).event)
    expect(event?.state).to.equal('firing')
  })
})
