import { expect } from 'chai'
import type { Aggregate, RuleEpisode, TriggerEvent } from '../../../schemas/records.ts'
import { AGGREGATES, TRIGGER_EVENTS, TRIGGER_STATE } from '../../../schemas/topics.ts'
import type { Commit, Output, Plan, Processor } from '../../../services/core/processor.ts'
import { createEpisode } from '../../../services/core/triggers/episode.ts'
import { createTriggers } from '../../../services/triggers/processor.ts'
import {
  compare,
  distribution,
  E2E_P95,
  REQUEST_RATE,
  rule,
  windowEnding,
} from '../core/triggers/fixture.ts'

const FAST = { metrics: { e2e_us: distribution({ p95: 1 }) } }
const SLOW = rule({ when: compare(E2E_P95, 100_000) })

type Policy = Parameters<typeof createTriggers>[1]

function processorOf(
  changelog: readonly unknown[] = [],
  policy: Partial<Policy> = {},
  count: (name: string) => void = () => {},
  committed: Commit | null = null,
): Processor {
  const assignment = {
    ...{ topic: AGGREGATES, partition: 0, committed, firstOffset: 0, changelog },
    partitions: { [TRIGGER_EVENTS]: 1, [TRIGGER_STATE]: 1 },
  }
  return createTriggers(assignment, { rules: [SLOW], statesMax: 9, ...policy }, { count })
}

function give(processor: Processor, windows: readonly Aggregate[]): Plan {
  const records = windows.map((value, offset) => ({ offset, appendMs: 0, value, bad: null }))
  return processor.onBatch({ topic: AGGREGATES, partition: 0, records })
}

function plansOf(first: Plan): Plan[] {
  const plans: Plan[] = []
  for (let plan: Plan | undefined = first; plan; plan = plan.rest?.()) plans.push(plan)
  return plans
}

function outputsOf(first: Plan): Output[] {
  return plansOf(first).flatMap(({ outputs }) => outputs)
}

function commitOf(first: Plan): Commit | null {
  return plansOf(first).at(-1)!.commit
}

function topicsOf({ outputs, commit }: Plan): readonly unknown[] {
  return [...new Set(outputs.map(({ topic }) => topic)), commit?.offset]
}

describe('triggers/processor', () => {
  it('has the events acknowledged before it lets the states say that they are out', () => {
    const plan = give(processorOf(), [windowEnding(0)])
    expect(topicsOf(plan)).to.deep.equal([TRIGGER_EVENTS, undefined])
    expect(topicsOf(plan.rest!())).to.deep.equal([TRIGGER_STATE, 1])
    expect(plan.rest!().rest).to.equal(undefined)
  })

  it('goes on from the newest state, whatever a member that was given up appended after it', () => {
    const plan = give(processorOf(), [windowEnding(0)])
    const firing = plan.rest!().outputs[0]!.value as RuleEpisode
    const later = { ...firing, evaluated_through: windowEnding(9).end }
    expect(give(processorOf([firing]), [windowEnding(2, FAST)]).outputs).to.have.length(1)
    expect(give(processorOf([later, firing]), [windowEnding(2, FAST)]).outputs).to.deep.equal([])
  })

  it('ends what a rule has begun that was changed since, or is gone', () => {
    const slow = windowEnding(0)
    const firing = give(processorOf(), [slow]).rest!().outputs[0]!.value as RuleEpisode
    const changed = { ...SLOW, cooldownMs: 900_000 }
    const next = processorOf([firing], { rules: [changed] })
    const plan = give(next, [windowEnding(1, FAST)])
    const [ended] = plan.outputs.map(({ value }) => value as TriggerEvent)
    expect(plan.outputs).to.have.length(1)
    expect(ended).to.deep.include({
      ...{ trigger_id: `e2e-p95-high|{"model":"m-1"}|${new Date(slow.end).toISOString()}` },
      ...{ state: 'resolved', window_end: slow.end, size_s: 300, series: { model: 'm-1' } },
      condition: 'superseded: the rule was changed',
    })
    const state = plan.rest!().outputs.at(-1)!.value as RuleEpisode
    expect(state).to.deep.include({ state: 'inactive', fired_at: 0 })
    // Once, and the changed rule fires by itself, without the cooldown of the one before.
    const again = processorOf([firing, state], { rules: [changed] })
    expect(give(again, [windowEnding(2)]).outputs.map(({ topic }) => topic)).to.deep.equal([
      TRIGGER_EVENTS,
    ])
    const gone = give(processorOf([firing], { rules: [] }), [windowEnding(1)])
    expect(gone.outputs.map(({ value }) => (value as TriggerEvent).condition)).to.deep.equal([
      'superseded: the rule is gone',
    ])
    const left = gone.rest!().outputs[0]!.value as RuleEpisode
    expect(give(processorOf([left], { rules: [] }), [windowEnding(2)]).outputs).to.deep.equal([])
  })

  it('takes a rule that is of other series now for gone from the ones before', () => {
    const low = rule({ when: compare(REQUEST_RATE, 1, { direction: 'below' }) })
    const severe = { ...low, severity: 'critical' }
    const quiet = windowEnding(9, { requests: 0 })
    const log = [windowEnding(0), windowEnding(8), quiet]
    const states = outputsOf(give(processorOf([], { rules: [severe] }), log))
    const kept = states.filter(({ topic }) => topic === TRIGGER_STATE).map(({ value }) => value)
    const firing = kept.at(-1) as RuleEpisode
    expect(firing).to.deep.include({ state: 'firing', severity: 'critical', size_s: 300 })
    const narrow = [{ ...low, series: { model: 'm-2' } }]
    const next = processorOf([firing], { rules: narrow })
    const later = [20, 21, 22].map((m) => windowEnding(m, { series: { model: 'm-2' } }))
    const events = outputsOf(give(next, later)).filter(({ topic }) => topic === TRIGGER_EVENTS)
    // Not the healthy series that it is not of any more: that has no windows here.
    expect(events.map(({ value }) => value)).to.have.length(1)
    expect(events[0]!.value).to.deep.include({
      ...{ state: 'resolved', severity: 'critical', size_s: 300 },
      condition: 'superseded: the rule is gone',
    })
  })

  it('does not evaluate a first result that comes behind a later end, restarted or not', () => {
    const [late, now] = [windowEnding(20), windowEnding(41, FAST)]
    const log = [windowEnding(0, FAST), windowEnding(40, FAST)]
    const whole = outputsOf(give(processorOf(), [...log, late, now]))
    const first = give(processorOf(), log)
    const states = outputsOf(first).map(({ value }) => value)
    const restarted = processorOf(states, {}, () => {}, commitOf(first))
    const rest = outputsOf(give(restarted, [late, now]))
    const isEvent = ({ topic }: Output) => topic === TRIGGER_EVENTS
    expect(whole.filter(isEvent)).to.deep.equal([])
    expect(rest.filter(isEvent)).to.deep.equal([])
  })

  it('does not take the clock of a silent fleet for the time of events', () => {
    const fleet = windowEnding(1440, { series: {}, requests: 0, metrics: {} })
    const plan = give(processorOf(), [windowEnding(0, FAST), fleet, windowEnding(1)])
    expect(plan.outputs.map(({ value }) => (value as TriggerEvent).state)).to.deep.equal(['firing'])
  })

  it('ends, an hour from now, what an earlier build has left firing for a silent series', () => {
    const firing = give(processorOf(), [windowEnding(0)]).rest!().outputs[0]!.value as RuleEpisode
    const old = { ...firing, heard_through: 0, revision: '', severity: '', size_s: 0 }
    const others = Array.from({ length: 120 }, (_, i) =>
      windowEnding(30 + i, { ...FAST, series: { model: 'm-2' } }),
    )
    const events = outputsOf(give(processorOf([old]), others)).filter(
      ({ topic }) => topic === TRIGGER_EVENTS,
    )
    expect(events.map(({ value }) => (value as TriggerEvent).window_end)).to.deep.equal([
      windowEnding(91).end,
    ])
  })

  it('begins a hold anew when the rule was changed in it, and goes on when it was not', () => {
    const rules = [rule({ forMs: 60_000 })]
    const pending = give(processorOf([], { rules }), [windowEnding(0)]).outputs[0]!
    const state = pending.value as RuleEpisode
    expect(state.state).to.equal('pending')
    const same = give(processorOf([state], { rules }), [windowEnding(1)])
    expect(same.outputs.map(({ topic }) => topic)).to.deep.equal([TRIGGER_EVENTS])
    const other = [{ ...rules[0]!, severity: 'critical' }]
    const changed = give(processorOf([state], { rules: other }), [windowEnding(1)])
    expect(changed.outputs.map(({ topic }) => topic)).to.not.include(TRIGGER_EVENTS)
    // What an earlier build has written says nothing of its rule.
    const old = give(processorOf([{ ...state, revision: '' }], { rules }), [windowEnding(1)])
    expect(old.outputs.map(({ topic }) => topic)).to.deep.equal([TRIGGER_EVENTS])
  })

  it('evaluates a rule on the windows of its size, grouping and series, and on no other', () => {
    const rules = [
      rule({ name: 'all' }),
      rule({ name: 'one', series: { model: 'm-1' } }),
      rule({ name: 'both', groupBy: ['model', 'region'] }),
      rule({ name: 'long', windowMs: 900_000 }),
      rule({ name: 'last' }),
    ]
    const fired = (window: Aggregate) => {
      const { outputs } = give(processorOf([], { rules }), [window])
      return outputs.map(({ key }) => key!.split('|')[0])
    }
    const long = { size_s: 900, start: windowEnding(-10).start }
    expect(fired(windowEnding(0))).to.deep.equal(['all', 'one', 'last'])
    expect(fired(windowEnding(0, { series: { model: 'm-2' } }))).to.deep.equal(['all', 'last'])
    expect(fired(windowEnding(0, { series: { region: 'eu', model: 'm-1' } }))).deep.equal(['both'])
    expect(fired(windowEnding(0, { series: {} }))).to.deep.equal([])
    expect(fired(windowEnding(0, long))).to.deep.equal(['long'])
  })

  it('keeps so many pairs of rule and series, found again or new, and refuses the others', () => {
    const names: string[] = []
    const other = {
      ...createEpisode(rule({ name: 'gone' }), '{"model":"x"}'),
      evaluated_through: 1,
    }
    const policy = { statesMax: 2 }
    const processor = processorOf([other, other], policy, (name) => names.push(name))
    const windows = ['a', 'b', 'a'].map((model, i) => windowEnding(i, { series: { model } }))
    give(processor, windows)
    expect(names).to.deep.equal(['evaluated', 'fired', 'refused_state', 'evaluated'])
  })
})
