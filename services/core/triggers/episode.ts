import type { Aggregate, RuleEpisode, TriggerEvent } from '../../../schemas/records.ts'
import { evaluate, type Verdict, verdictOf } from './evaluate.ts'
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
 * recovering (`keepFiring`) → inactive. Unknown neither starts, advances nor resolves, unless
 * `noData` says what it is taken for. A window at or before the last one that was applied is a
 * repeat and changes nothing.
 */
export function stepEpisode(rule: Rule, before: RuleEpisode, aggregate: Aggregate): Step {
  if (aggregate.end <= before.evaluated_through) return { state: before, event: null }
  const firstEnd = before.first_end || aggregate.end
  const isWhole = aggregate.start >= firstEnd
  const isOpen = before.state === 'firing' || before.state === 'recovering'
  const seen = { ...before, first_end: firstEnd, evaluated_through: aggregate.end }
  const verdict = taken(rule, verdictOf(rule.when, aggregate, isWhole, isOpen), aggregate, isWhole)
  if (verdict === null) return { state: seen, event: null }
  // A window that does not reach back to the last one begins anew: nothing is known in between.
  const goesOn = aggregate.start <= before.evaluated_through
  const sinceLastMs = aggregate.end - before.evaluated_through
  if (isOpen) {
    if (verdict) return { state: { ...seen, state: 'firing', held_ms: 0 }, event: null }
    const isRecovering = before.state === 'recovering' && goesOn
    const clearMs = isRecovering ? before.held_ms + sinceLastMs : 0
    if (clearMs < rule.keepFiringMs) {
      return { state: { ...seen, state: 'recovering', held_ms: clearMs }, event: null }
    }
    const state: RuleEpisode = { ...seen, state: 'inactive', since: 0, held_ms: 0 }
    return { state, event: eventOf(rule, seen, 'resolved', aggregate, isWhole) }
  }
  if (!verdict) return { state: { ...seen, state: 'inactive', since: 0, held_ms: 0 }, event: null }
  const isHeld = before.since > 0 && goesOn
  const since = isHeld ? before.since : aggregate.end
  const heldMs = isHeld ? before.held_ms + sinceLastMs : 0
  const held = { ...seen, since, held_ms: heldMs }
  const cool = seen.fired_at === 0 || aggregate.end >= seen.fired_at + rule.cooldownMs
  if (heldMs < rule.forMs || !cool) return { state: { ...held, state: 'pending' }, event: null }
  const state: RuleEpisode = { ...held, state: 'firing', held_ms: 0, fired_at: aggregate.end }
  return { state, event: eventOf(rule, state, 'firing', aggregate, isWhole) }
}

/** What a verdict is taken for. That a window is not whole yet is no breach. */
function taken(rule: Rule, verdict: Verdict, aggregate: Aggregate, isWhole: boolean): Verdict {
  if (verdict !== null || rule.noData === 'hold') return verdict
  if (rule.noData === 'ok') return false
  return isWhole && !aggregate.incomplete ? true : null
}

/** What is told of an episode that this window has started or ended. */
function eventOf(
  rule: Rule,
  state: RuleEpisode,
  kind: TriggerEvent['state'],
  aggregate: Aggregate,
  isWhole: boolean,
): TriggerEvent {
  const isOpen = kind === 'resolved'
  const { observed, thresholds } = evaluate(rule.when, aggregate, isWhole, isOpen)
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

const COUNTING: ReadonlySet<RuleEpisode['state']> = new Set(['pending', 'recovering'])

/**
 * Whether a step left something that a restart must find again: of one that counts how long, also
 * how far it has come, since the next window must reach back to that.
 */
export function isWorthKeeping(before: RuleEpisode, after: RuleEpisode): boolean {
  return (
    before.state !== after.state ||
    before.since !== after.since ||
    before.held_ms !== after.held_ms ||
    before.fired_at !== after.fired_at ||
    before.first_end !== after.first_end ||
    (COUNTING.has(after.state) && before.evaluated_through !== after.evaluated_through)
  )
}
