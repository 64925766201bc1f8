import type { Aggregate, RuleEpisode, TriggerEvent } from '../../../schemas/records.ts'
import { evaluate, type Verdict, verdictOf } from './evaluate.ts'
import { describeCondition, type Rule, ruleRevision } from './rule.ts'

/** The state of a rule for a series that has not been evaluated yet. */
export function createEpisode(rule: Rule, series: string): RuleEpisode {
  return {
    rule: rule.name,
    series,
    state: 'inactive',
    first_end: 0,
    evaluated_through: 0,
    heard_through: 0,
    revision: ruleRevision(rule),
    severity: rule.severity,
    size_s: rule.windowMs / 1000,
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
  return step(rule, before, aggregate, aggregate.end)
}

const HOUR_MS = 3_600_000

/** A series that is silent for longer is over: nothing of it holds any more. */
function silentMsMax({ forMs, keepFiringMs, windowMs }: Rule): number {
  return Math.max(HOUR_MS, forMs + keepFiringMs + windowMs)
}

/**
 * The same of a window that the series did not have, when others had theirs: nothing came. What is
 * unknown then is as unknown as ever, but an hour of it ends what has fired.
 */
export function stepSilent(rule: Rule, before: RuleEpisode, end: number): Step {
  const { heard_through: heard, evaluated_through } = before
  if (end <= evaluated_through) return { state: before, event: null }
  const seen = { ...before, evaluated_through: end }
  // An earlier build did not say which windows there were: silence counts from here.
  if (heard === 0) return { state: { ...seen, heard_through: end }, event: null }
  const aggregate = emptyWindow(JSON.parse(before.series), end, rule.windowMs)
  if (end - heard <= silentMsMax(rule)) return step(rule, before, aggregate, heard)
  // What comes after it is a new series: its first windows are not whole.
  const state: RuleEpisode = { ...seen, state: 'inactive', since: 0, held_ms: 0, first_end: 0 }
  return { state, event: isOpen(before) ? eventOf(rule, seen, 'resolved', aggregate, true) : null }
}

/** Whether silence is what a rule waits for: it starts when nothing comes. */
export function startsBySilence(rule: Rule): boolean {
  const nothing = emptyWindow({}, 0, rule.windowMs)
  return taken(rule, verdictOf(rule.when, nothing, true), nothing, true) === true
}

/** Whether a state changes though its series is silent, by whether its rule starts by that. */
export function watchesSilence(rule: Rule, state: RuleEpisode, isStarted: boolean): boolean {
  const { heard_through: heard, evaluated_through } = state
  if (state.state === 'inactive' && !isStarted) return false
  return heard === 0 || evaluated_through - heard <= silentMsMax(rule)
}

function emptyWindow(series: Aggregate['series'], end: number, windowMs: number): Aggregate {
  return {
    ...{ series, size_s: windowMs / 1000, start: end - windowMs, end, final: true, revision: 0 },
    ...{ incomplete: false, requests: 0, errors: 0, cancelled: 0, errors_by_type: {}, chunks: 0 },
    ...{ input_tokens: 0, output_tokens: 0, metrics: {}, gauges: {}, goodput: null },
  }
}

function isOpen({ state }: RuleEpisode): boolean {
  return state === 'firing' || state === 'recovering'
}

function step(rule: Rule, before: RuleEpisode, aggregate: Aggregate, heard: number): Step {
  if (aggregate.end <= before.evaluated_through) return { state: before, event: null }
  const firstEnd = before.first_end || aggregate.end
  const isWhole = aggregate.start >= firstEnd
  const wasOpen = isOpen(before)
  const through = { evaluated_through: aggregate.end, heard_through: heard }
  const revision = before.revision || ruleRevision(rule)
  const seen = { ...before, first_end: firstEnd, revision, ...through, ...saidOf(rule, before) }
  const said = verdictOf(rule.when, aggregate, isWhole, wasOpen)
  const verdict = taken(rule, said, aggregate, isWhole)
  if (verdict === null) return { state: unknown(seen, aggregate.start >= heard), event: null }
  // A window that does not reach back to the last one begins anew: nothing is known in between.
  const goesOn = aggregate.start <= before.evaluated_through
  const sinceLastMs = aggregate.end - before.evaluated_through
  if (wasOpen) {
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

/** What an event says of the rule, also when the rule is another by then. */
function saidOf(rule: Rule, { severity, size_s }: RuleEpisode) {
  return { severity: severity || rule.severity, size_s: size_s || rule.windowMs / 1000 }
}

/** Behind silence over which no window reaches, what counts how long begins anew. */
function unknown(seen: RuleEpisode, isGap: boolean): RuleEpisode {
  if (!isGap || seen.state === 'inactive' || seen.state === 'firing') return seen
  if (seen.state === 'recovering') return { ...seen, held_ms: 0 }
  return { ...seen, state: 'inactive', since: 0, held_ms: 0 }
}

/** What a verdict is taken for. That a window is not whole yet is no breach. */
function taken(rule: Rule, verdict: Verdict, aggregate: Aggregate, isWhole: boolean): Verdict {
  if (verdict !== null || rule.noData === 'hold') return verdict
  if (rule.noData === 'ok') return false
  return isWhole && !aggregate.incomplete ? true : null
}

/** Whether a state is of a rule as it is now. */
export function isOfRule(state: RuleEpisode, rule: Rule | undefined): boolean {
  if (rule === undefined) return false
  return state.revision === '' || state.revision === ruleRevision(rule)
}

/**
 * Ends what a rule had begun that has been changed since, or is gone (undefined): the rule as it is
 * now begins with nothing, cooldown included, but for the windows that it need not see again.
 */
export function supersede(before: RuleEpisode, rule: Rule | undefined): Step {
  const revision = rule ? ruleRevision(rule) : ''
  const ended = { state: 'inactive', since: 0, held_ms: 0, fired_at: 0, revision } as const
  const now = rule && { severity: rule.severity, size_s: rule.windowMs / 1000 }
  const state: RuleEpisode = { ...before, ...ended, ...now }
  if (!isOpen(before)) return { state, event: null }
  const event: TriggerEvent = {
    trigger_id: triggerId(before),
    rule: before.rule,
    state: 'resolved',
    severity: before.severity || rule?.severity || 'warning',
    series: JSON.parse(before.series),
    size_s: before.size_s || (rule?.windowMs ?? 0) / 1000,
    window_end: before.evaluated_through,
    since: before.since,
    condition: `superseded: the rule ${rule ? 'was changed' : 'is gone'}`,
    observed: {},
    thresholds: {},
  }
  return { state, event }
}

function triggerId({ rule, series, fired_at }: RuleEpisode): string {
  return `${rule}|${series}|${new Date(fired_at).toISOString()}`
}

/** What is told of an episode that this window has started or ended. */
function eventOf(
  rule: Rule,
  state: RuleEpisode,
  kind: TriggerEvent['state'],
  aggregate: Aggregate,
  isWhole: boolean,
): TriggerEvent {
  const isLeft = kind === 'resolved'
  const { observed, thresholds } = evaluate(rule.when, aggregate, isWhole, isLeft)
  return {
    trigger_id: triggerId(state),
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
 * Whether a step left something that a restart must find again: of what silence changes also how
 * far it has come (`isWatched`), since whoever comes next must know which windows it had.
 */
export function isWorthKeeping(
  before: RuleEpisode,
  after: RuleEpisode,
  isWatched: boolean,
): boolean {
  return (
    before.state !== after.state ||
    before.since !== after.since ||
    before.held_ms !== after.held_ms ||
    before.fired_at !== after.fired_at ||
    before.first_end !== after.first_end ||
    before.revision !== after.revision ||
    (before.evaluated_through !== after.evaluated_through && isWatched)
  )
}
