import type { Aggregate, TriggerEvent } from '../../schemas/records.ts'
import { AGGREGATES, TRIGGER_EVENTS, TRIGGER_STATE } from '../../schemas/topics.ts'
import type { Plan } from '../core/processor.ts'
import type { Rule } from '../core/triggers/rule.ts'
import { createTriggers } from './processor.ts'

/** Rules as the service evaluates them, with nobody told: windows in, events out. */
export interface RuleTrial {
  /** The windows of one size must come in the order of their ends. */
  give(windows: readonly Aggregate[]): readonly TriggerEvent[]
}

/** A trial that begins with no state. */
export function tryRules(rules: readonly Rule[]): RuleTrial {
  const assignment = {
    ...{ topic: AGGREGATES, partition: 0, committed: null, firstOffset: 0, changelog: [] },
    partitions: { [TRIGGER_EVENTS]: 1, [TRIGGER_STATE]: 1 },
  }
  const policy = { rules, statesMax: Number.POSITIVE_INFINITY }
  const processor = createTriggers(assignment, policy, { count: () => {} })
  return {
    give(windows) {
      const records = windows.map((value, offset) => ({ offset, appendMs: 0, value, bad: null }))
      const first = processor.onBatch({ topic: AGGREGATES, partition: 0, records })
      const events: TriggerEvent[] = []
      for (let plan: Plan | undefined = first; plan; plan = plan.rest?.()) {
        for (const { topic, value } of plan.outputs) {
          if (topic === TRIGGER_EVENTS) events.push(value as TriggerEvent)
        }
      }
      return events
    },
  }
}
