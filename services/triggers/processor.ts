import type { Aggregate, RuleEpisode } from '../../schemas/records.ts'
import { TRIGGER_EVENTS, TRIGGER_STATE } from '../../schemas/topics.ts'
import { partitionOf } from '../core/hash.ts'
import type { Assignment, Batch, Output, Plan, Processor } from '../core/processor.ts'
import {
  createEpisode,
  isOfRule,
  isWorthKeeping,
  type Step,
  startsBySilence,
  stepEpisode,
  stepSilent,
  supersede,
  watchesSilence,
} from '../core/triggers/episode.ts'
import type { Rule } from '../core/triggers/rule.ts'
import { hasGrouping, seriesOf } from '../core/windows/series.ts'

/** How many states of rule and series one partition keeps; series beyond it are not evaluated. */
export interface TriggersPolicy {
  readonly rules: readonly Rule[]
  readonly statesMax: number
}

export const DEFAULT_STATES_MAX = 1_000_000

export interface TriggersCounts {
  count(name: 'evaluated' | 'fired' | 'resolved' | 'refused_state', times: number): void
}

/**
 * Evaluates the rules on the final aggregates of one partition. Only revision 0 is looked at: a
 * correction never fires again. Windows of one size come in the order of their ends, so that with
 * one that ends later it is known which series had none before. The same log always gives the same
 * events with the same ids.
 */
export function createTriggers(
  { partition, committed, changelog, partitions }: Assignment,
  { rules, statesMax }: TriggersPolicy,
  counts: TriggersCounts,
): Processor {
  const appliesTo = createLookUp(rules)
  const starters = new Set(rules.filter(startsBySilence))
  const byName = new Map(rules.map((rule) => [rule.name, rule]))
  const bySeries = new Map<string, Map<string, RuleEpisode>>()
  let held = 0
  /** Up to which end windows of each size have come, in seconds and milliseconds. */
  const ends = readEnds(committed)
  /** What changes though its series is silent, by the size of its windows. */
  const watched = new Map<number, Map<string, RuleEpisode>>()
  for (const state of changelog as readonly RuleEpisode[]) {
    const known = bySeries.get(state.series)?.get(state.rule)
    // A member that has lost the partition may have appended what it knew after the next owner.
    if (known && known.evaluated_through > state.evaluated_through) continue
    keep(state)
  }
  /** What rules have begun that are others now: to be ended with the first batch. */
  let superseded: { readonly state: RuleEpisode; readonly rule: Rule | undefined }[] = []
  for (const [series, own] of bySeries) {
    const labels = JSON.parse(series) as Aggregate['series']
    for (const state of own.values()) {
      const named = byName.get(state.rule)
      // A rule that is of other series now is gone from this one.
      const rule = named && isOf(named, labels) ? named : undefined
      if (isSuperseded(state, rule)) superseded.push({ state, rule })
      else if (rule) watch(rule, state)
    }
  }

  function keep(state: RuleEpisode): void {
    let own = bySeries.get(state.series)
    if (!own) {
      own = new Map()
      bySeries.set(state.series, own)
    }
    held -= own.size
    held += own.set(state.rule, state).size
  }

  function watch(rule: Rule, state: RuleEpisode): void {
    const size_s = rule.windowMs / 1000
    const all = watched.get(size_s) ?? new Map<string, RuleEpisode>()
    watched.set(size_s, all)
    const key = keyOf(state)
    if (watchesSilence(rule, state, starters.has(rule))) all.set(key, state)
    else all.delete(key)
  }

  /** False for a first result that came behind a later end: it is as late as a correction. */
  function passTime({ size_s, end }: Aggregate, events: Output[], kept: Output[]): boolean {
    const last = ends.get(size_s)
    if (last !== undefined && end <= last) return end === last
    ends.set(size_s, end)
    const all = last === undefined ? [] : (watched.get(size_s)?.values() ?? [])
    for (const before of [...all]) {
      if (before.evaluated_through >= last!) continue
      const rule = byName.get(before.rule)!
      take(rule, before, stepSilent(rule, before, last!), events, kept)
    }
    return true
  }

  function take(
    rule: Rule | undefined,
    before: RuleEpisode,
    { state, event }: Step,
    events: Output[],
    kept: Output[],
  ): void {
    keep(state)
    const isStarted = rule !== undefined && starters.has(rule)
    const isWatched = rule !== undefined && watchesSilence(rule, state, isStarted)
    // Nearly all are not: their keys need not be made.
    if (rule && (isWatched || watchesSilence(rule, before, isStarted))) watch(rule, state)
    if (event) {
      counts.count(event.state === 'firing' ? 'fired' : 'resolved', 1)
      const to = partitionOf(event.trigger_id, partitions[TRIGGER_EVENTS]!)
      events.push({ topic: TRIGGER_EVENTS, partition: to, key: event.trigger_id, value: event })
    }
    // The state's partition is the aggregates', so that one owner has both.
    if (!rule || isWorthKeeping(before, state, isWatched)) {
      kept.push({ topic: TRIGGER_STATE, partition, key: keyOf(state), value: state })
    }
  }

  function apply(aggregate: Aggregate, events: Output[], kept: Output[]): void {
    const applying = appliesTo(aggregate)
    if (applying.length === 0) return
    const { key: series } = seriesOf(aggregate.series)
    const own = bySeries.get(series)
    for (const rule of applying) {
      const known = own?.get(rule.name)
      if (!known && held >= statesMax) {
        counts.count('refused_state', 1)
        continue
      }
      const before = known ?? createEpisode(rule, series)
      counts.count('evaluated', 1)
      take(rule, before, stepEpisode(rule, before, aggregate), events, kept)
    }
  }

  return {
    startOffset: committed?.offset ?? null,
    onBatch(batch: Batch): Plan {
      const events: Output[] = []
      const kept: Output[] = []
      let next = 0
      for (const { state, rule } of superseded) {
        take(rule, state, supersede(state, rule), events, kept)
      }
      superseded = []
      for (const { offset, value, bad } of batch.records) {
        next = offset + 1
        const aggregate = value as Aggregate
        if (bad || !aggregate.final || aggregate.revision > 0) continue
        if (isMadeUp(aggregate) || passTime(aggregate, events, kept)) {
          apply(aggregate, events, kept)
        }
      }
      const commit = { offset: next, metadata: JSON.stringify([...ends]) }
      const last: Plan = { ...nothing, outputs: kept, commit }
      // Events first: to whoever finds the states, their windows have been dealt with.
      return events.length === 0 ? last : { ...nothing, outputs: events, rest: () => last }
    },
    onTick: () => nothing,
    onDrain: () => nothing,
  }
}

/** The silent fleet's windows go by the clock: event time, as of a backfill, may be far from it. */
function isMadeUp({ series, requests }: Aggregate): boolean {
  return requests === 0 && Object.keys(series).length === 0
}

/** Of a rule that is gone, what has not fired is left as it is. */
function isSuperseded(state: RuleEpisode, rule: Rule | undefined): boolean {
  if (isOfRule(state, rule)) return false
  return rule !== undefined || state.state === 'firing' || state.state === 'recovering'
}

function keyOf({ rule, series }: RuleEpisode): string {
  return `${rule}|${series}`
}

/** What the owner before has committed. */
function readEnds(committed: Assignment['committed']): Map<number, number> {
  return new Map(committed?.metadata ? JSON.parse(committed.metadata) : [])
}

const nothing: Plan = {
  outputs: [],
  effects: [],
  commit: null,
  wakeMs: Number.POSITIVE_INFINITY,
}

/** Rules of one window size and one grouping. */
interface Group {
  readonly windowMs: number
  readonly groupBy: Rule['groupBy']
  readonly rules: Rule[]
}

/** Finds the rules to evaluate on a window: all of one size and grouping are looked at once. */
function createLookUp(rules: readonly Rule[]): (aggregate: Aggregate) => readonly Rule[] {
  const groups = new Map<string, Group>()
  for (const rule of rules) {
    const { windowMs, groupBy } = rule
    const key = JSON.stringify([windowMs, [...groupBy].sort()])
    const group = groups.get(key) ?? { windowMs, groupBy, rules: [] }
    group.rules.push(rule)
    groups.set(key, group)
  }
  const all = [...groups.values()].map((group) => ({
    ...group,
    areForAll: group.rules.every((rule) => Object.keys(rule.series).length === 0),
  }))
  return ({ series, size_s }) => {
    const group = all.find(
      ({ windowMs, groupBy }) => windowMs === size_s * 1000 && hasGrouping(series, groupBy),
    )
    if (!group || group.areForAll) return group?.rules ?? []
    return group.rules.filter((rule) => isOneOf(series, rule.series))
  }
}

/** Whether a rule is evaluated on a series. */
function isOf({ groupBy, series }: Rule, labels: Aggregate['series']): boolean {
  return hasGrouping(labels, groupBy) && isOneOf(labels, series)
}

/** Whether a series has the dimension values that a rule asks for. */
function isOneOf(series: Aggregate['series'], wanted: Rule['series']): boolean {
  for (const name in wanted) if (series[name] !== wanted[name]) return false
  return true
}
