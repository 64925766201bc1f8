import type { Aggregate, RuleEpisode, TriggerEvent } from '../../../schemas/records.ts'
import { evaluate, verdictOf } from './evaluate.ts'
import { describeCondition, type Rule } from './rule.ts'

/** The state of a rule for a series that has not been evaluated yet. */
export function createEpisode(rule: Rule, series: string): RuleEpisode {
  return {
    rule: rule.name,
    series,
    state: 'inactive',
    first_end: 0,
    evaluated_through: 0,
    since: 0,
    held_ms: 0,
    fired_at: 0,
  }
}

/** What one window did to a rule's state. */
export interface Step {
  readonly state: RuleEpisode
  /** Null when nothing started or stopped. */
  readonly event: TriggerEvent | null
}

/**
 * Applies the next final window of a series to a rule: inactive → pending (`for`) → firing →
 * inactive. Unknown neither starts, advances nor resolves. A window at or before the last one that
 * was applied is a repeat and changes nothing.
 */
export function stepEpisode(rule: Rule, before: RuleEpisode, aggregate: Aggregate): Step {
  if (aggregate.end <= before.evaluated_through) return { state: before, event: null }
  const firstEnd = before.first_end || aggregate.end
  const isWhole = aggregate.start >= firstEnd
  const verdict = verdictOf(rule.when, aggregate, isWhole)
  const seen = { ...before, first_end: firstEnd, evaluated_through: aggregate.end }
  if (verdict === null) return { state: seen, event: null }
  const event = (state: RuleEpisode, kind: TriggerEvent['state']) =>
    eventOf(rule, state, kind, aggregate, isWhole)
  if (!verdict) {
    const state: RuleEpisode = { ...seen, state: 'inactive', since: 0, held_ms: 0 }
    return { state, event: seen.state === 'firing' ? event(seen, 'resolved') : null }
  }
  if (seen.state === 'firing') return { state: seen, event: null }
  // A window that does not reach back to the last one begins anew: nothing is known in between.
  const goesOn = before.since > 0 && aggregate.start <= before.evaluated_through
  const since = goesOn ? before.since : aggregate.end
  const heldMs = goesOn ? before.held_ms + aggregate.end - before.evaluated_through : 0
  const held = { ...seen, since, held_ms: heldMs }
  const cool = seen.fired_at === 0 || aggregate.end >= seen.fired_at + rule.cooldownMs
  if (heldMs < rule.forMs || !cool) return { state: { ...held, state: 'pending' }, event: null }
  const state: RuleEpisode = { ...held, state: 'firing', fired_at: aggregate.end }
  return { state, event: event(state, 'firing') }
}

/** What is told of an episode that this window has started or ended. */
function eventOf(
  rule: Rule,
  state: RuleEpisode,
  kind: TriggerEvent['state'],
  aggregate: Aggregate,
  isWhole: boolean,
): TriggerEvent {
  const { observed, thresholds } = evaluate(rule.when, aggregate, isWhole)
  return {
    trigger_id: `${rule.name}|${state.series}|${new Date(state.fired_at).toISOString()}`,
    rule: rule.name,
    state: kind,
    severity: rule.severity,
    series: aggregate.series,
    size_s: aggregate.size_s,
    window_end: aggregate.end,
    since: state.since,
    condition: describeCondition(rule.when),
    observed,
    thresholds,
  }
}

/**
 * Whether a step left something that a restart must find again: of one that is pending, also how
 * far it has come, since the next window must reach back to that.
 */
export function isWorthKeeping(before: RuleEpisode, after: RuleEpisode): boolean {
  return (
    before.state !== after.state ||
    before.since !== after.since ||
    before.held_ms !== after.held_ms ||
    before.fired_at !== after.fired_at ||
    before.first_end !== after.first_end ||
    (after.state === 'pending' && before.evaluated_through !== after.evaluated_through)
  )
}
