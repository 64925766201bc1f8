import type { Aggregate, RuleEpisode, TriggerEvent } from '../../../schemas/records.ts'
import { evaluate } from './evaluate.ts'
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
  const evaluation = evaluate(rule.when, aggregate, aggregate.start >= firstEnd)
  const seen = { ...before, first_end: firstEnd, evaluated_through: aggregate.end }
  if (evaluation.verdict === null) return { state: seen, event: null }
  const event = (state: RuleEpisode, kind: TriggerEvent['state']): TriggerEvent => ({
    trigger_id: `${rule.name}|${state.series}|${new Date(state.fired_at).toISOString()}`,
    rule: rule.name,
    state: kind,
    severity: rule.severity,
    series: aggregate.series,
    size_s: aggregate.size_s,
    window_end: aggregate.end,
    since: state.since,
    condition: describeCondition(rule.when),
    observed: evaluation.observed,
    thresholds: evaluation.thresholds,
  })
  if (!evaluation.verdict) {
    const state: RuleEpisode = { ...seen, state: 'inactive', since: 0 }
    return { state, event: seen.state === 'firing' ? event(seen, 'resolved') : null }
  }
  if (seen.state === 'firing') return { state: seen, event: null }
  const since = seen.since || aggregate.end
  const held = aggregate.end - since >= rule.forMs
  const cool = seen.fired_at === 0 || aggregate.end >= seen.fired_at + rule.cooldownMs
  if (!held || !cool) return { state: { ...seen, state: 'pending', since }, event: null }
  const state: RuleEpisode = { ...seen, state: 'firing', since, fired_at: aggregate.end }
  return { state, event: event(state, 'firing') }
}

/** Whether a step left something that a restart must find again. */
export function isWorthKeeping(before: RuleEpisode, after: RuleEpisode): boolean {
  return (
    before.state !== after.state ||
    before.since !== after.since ||
    before.fired_at !== after.fired_at ||
    before.first_end !== after.first_end
  )
}
