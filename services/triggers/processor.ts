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
  const states = new Map<string, RuleEpisode>()
  for (const state of changelog as readonly RuleEpisode[]) {
    const known = states.get(keyOf(state))
    // A member that has lost the partition may have appended what it knew after the next owner.
    if (known && known.evaluated_through > state.evaluated_through) continue
    states.set(keyOf(state), state)
  }

  function apply(aggregate: Aggregate, events: Output[], kept: Output[]): void {
    const series = seriesOf(aggregate.series)
    for (const rule of rules) {
      if (!applies(rule, aggregate)) continue
      const key = keyOf({ rule: rule.name, series: series.key })
      const before = states.get(key) ?? createEpisode(rule, series.key)
      if (!states.has(key) && states.size >= statesMax) {
        counts.count('refused_state', 1)
        continue
      }
      const { state, event } = stepEpisode(rule, before, aggregate)
      states.set(key, state)
      counts.count('evaluated', 1)
      if (event) {
        counts.count(event.state === 'firing' ? 'fired' : 'resolved', 1)
        const to = partitionOf(event.trigger_id, partitions[TRIGGER_EVENTS]!)
        events.push({ topic: TRIGGER_EVENTS, partition: to, key: event.trigger_id, value: event })
      }
      // The state's partition is the aggregates', so that one owner has both.
      if (isWorthKeeping(before, state)) {
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

function keyOf({ rule, series }: { rule: string; series: string }): string {
  return `${rule}|${series}`
}

/** Whether a rule is evaluated on this window of this series. */
function applies(rule: Rule, { series, size_s }: Aggregate): boolean {
  return (
    rule.windowMs === size_s * 1000 &&
    hasGrouping(series, rule.groupBy) &&
    Object.entries(rule.series).every(([name, value]) => series[name] === value)
  )
}
