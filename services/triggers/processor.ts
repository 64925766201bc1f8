import type { Aggregate, RuleEpisode } from '../../schemas/records.ts'
import { TRIGGER_EVENTS, TRIGGER_STATE } from '../../schemas/topics.ts'
import { partitionOf } from '../core/hash.ts'
import type { Assignment, Batch, Output, Plan, Processor } from '../core/processor.ts'
import { createEpisode, isWorthKeeping, stepEpisode } from '../core/triggers/episode.ts'
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
 * correction never fires again. The same log always gives the same events with the same ids.
 */
export function createTriggers(
  { partition, committed, changelog, partitions }: Assignment,
  { rules, statesMax }: TriggersPolicy,
  counts: TriggersCounts,
): Processor {
  const appliesTo = createLookUp(rules)
  const bySeries = new Map<string, Map<string, RuleEpisode>>()
  let held = 0
  for (const state of changelog as readonly RuleEpisode[]) {
    const known = bySeries.get(state.series)?.get(state.rule)
    // A member that has lost the partition may have appended what it knew after the next owner.
    if (known && known.evaluated_through > state.evaluated_through) continue
    keep(state)
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
      const { state, event } = stepEpisode(rule, before, aggregate)
      keep(state)
      counts.count('evaluated', 1)
      if (event) {
        counts.count(event.state === 'firing' ? 'fired' : 'resolved', 1)
        const to = partitionOf(event.trigger_id, partitions[TRIGGER_EVENTS]!)
        events.push({ topic: TRIGGER_EVENTS, partition: to, key: event.trigger_id, value: event })
      }
      // The state's partition is the aggregates', so that one owner has both.
      if (isWorthKeeping(before, state)) {
        const key = `${rule.name}|${series}`
        kept.push({ topic: TRIGGER_STATE, partition, key, value: state })
      }
    }
  }

  return {
    startOffset: committed?.offset ?? null,
    onBatch(batch: Batch): Plan {
      const events: Output[] = []
      const kept: Output[] = []
      let next = 0
      for (const { offset, value, bad } of batch.records) {
        next = offset + 1
        const aggregate = value as Aggregate
        if (!bad && aggregate.final && aggregate.revision === 0) apply(aggregate, events, kept)
      }
      const commit = { offset: next, metadata: '' }
      const last: Plan = { ...nothing, outputs: kept, commit }
      // Events first: to whoever finds the states, their windows have been dealt with.
      return events.length === 0 ? last : { ...nothing, outputs: events, rest: () => last }
    },
    onTick: () => nothing,
    onDrain: () => nothing,
  }
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

/** Whether a series has the dimension values that a rule asks for. */
function isOneOf(series: Aggregate['series'], wanted: Rule['series']): boolean {
  for (const name in wanted) if (series[name] !== wanted[name]) return false
  return true
}
